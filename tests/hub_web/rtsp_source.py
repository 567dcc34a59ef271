"""A real RTSP camera with one film. Run by Debian's /usr/bin/python3, which has gst-rtsp-server.

    rtsp_source.py PORT FILM USER PASSWORD

Serves the film at rtsp://127.0.0.1:PORT/cam, from its beginning to each client, in real time. Prints `ready`,
or why it can't serve.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

LAUNCH = '( filesrc location="{film}" ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )'


def main() -> None:
    port, film, user, password = sys.argv[1:5]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH.format(film=film))
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(user, permission, True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/cam", factory)
    listening = server.attach(None) and server.get_bound_port() == int(port)
    print("ready" if listening else f"can't listen on port {port}", flush=True)
    GLib.MainLoop().run()


main()
