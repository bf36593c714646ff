"""Pages that tests and load generators ask for: who answered, and every way
in which an application can be slow, large, greedy or dead."""

import hashlib
import os
import platform
import signal
import sys
import time

import django
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

MB = 1 << 20

# What /probe/leak/ keeps for as long as the process lives.
leaked = []


def hello(request):
    """Name the site: the page that load tests count on."""
    site = get_current_site(request)
    return HttpResponse("Hello from %s (SITE_ID %d)\n" % (site.name, settings.SITE_ID), content_type="text/plain")


def whoami(request):
    """Say which process answered, and what it runs. No database needed."""
    return JsonResponse(
        {
            "pid": os.getpid(),
            "site_id": settings.SITE_ID,
            "settings": os.environ["DJANGO_SETTINGS_MODULE"],
            "urlconf": settings.ROOT_URLCONF,
            "python": platform.python_version(),
            "executable": sys.executable,
            "django": django.get_version(),
        }
    )


def sleep(request):
    """Hold the worker for ?ms= milliseconds."""
    ms = number(request, "ms", 1000)
    time.sleep(ms / 1000)
    return HttpResponse("slept %d ms\n" % ms, content_type="text/plain")


def stream(request):
    """Yield ?n= pieces of ?bytes= bytes, with a pause of ?ms= after each."""
    return StreamingHttpResponse(pieces(request), content_type="application/octet-stream")


@csrf_exempt
def echo(request):
    """Read the body piece by piece; answer its length and SHA-256."""
    length, digest = 0, hashlib.sha256()
    while True:
        piece = request.read(64 << 10)
        if not piece:
            break
        length += len(piece)
        digest.update(piece)
    return JsonResponse({"method": request.method, "length": length, "sha256": digest.hexdigest()})


def crash(request):
    """Die before the first byte of an answer."""
    die()


def crash_mid(request):
    """Die after the pieces of /probe/stream/ went out, of ?length= bytes if that is given."""

    def body():
        yield from pieces(request)
        die()

    response = StreamingHttpResponse(body(), content_type="application/octet-stream")
    if "length" in request.GET:
        response["Content-Length"] = request.GET["length"]
    return response


def error(request):
    """Raise what no application catches."""
    raise RuntimeError("probe: raised on purpose")


def leak(request):
    """Keep ?mb= megabytes, touched so that they count as resident."""
    leaked.append(b"x" * (number(request, "mb", 1) * MB))
    return JsonResponse({"pid": os.getpid(), "leaked_mb": sum(map(len, leaked)) // MB})


def headers(request):
    """Show what the application was told about the request."""
    return JsonResponse({key: value for key, value in request.META.items() if isinstance(value, str)})


def big(request):
    """Answer ?mb= megabytes with a Content-Length."""
    return HttpResponse(b"x" * (number(request, "mb", 1) * MB), content_type="application/octet-stream")


def file(request):
    """Send this very file through wsgi.file_wrapper."""
    return FileResponse(open(__file__, "rb"), content_type="text/plain")


def say(request):
    """Write ?text= to stdout, stderr and wsgi.errors."""
    text = request.GET.get("text", "hello")
    print("stdout:", text)
    print("stderr:", text, file=sys.stderr)
    print("wsgi.errors:", text, file=request.META["wsgi.errors"])
    return HttpResponse("said\n", content_type="text/plain")


def pieces(request):
    piece = b"x" * number(request, "bytes", 1024)
    pause = number(request, "ms", 0) / 1000
    for _ in range(number(request, "n", 10)):
        yield piece
        if pause:
            time.sleep(pause)


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # never return an answer, however late the signal comes


def number(request, name, default):
    return int(request.GET.get(name, default))
