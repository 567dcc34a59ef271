"""The simulated ONVIF cameras: their RTSP streams, their ONVIF services, and the fleet that runs them."""
