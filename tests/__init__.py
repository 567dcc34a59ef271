"""Tests on real parts: a broker, RTSP servers, a browser, all started here on free loopback ports."""
