"""From a click on the annotation page to its pixels on the screen, the networks aside, in a headless browser.

    python bench/page.py [--clicks N] PHOTO...

Milliseconds: least, quartiles. ``page``: from the answer to the frame that shows it; ``http``: between page and server;
``steps``: of a click on the server beside the networks. Needs the ``serve`` and ``test`` extras and a chromium or
google-chrome on the path.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NETWORKS = ("segmentor", "refiner")
FIRST = 3  # clicks that find the server cold
OBJECT = 15  # clicks on each object
MEASURED = """() => {
  const answers = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/click"));
  const clicks = performance.getEntriesByName("focalrt click");
  return clicks.map((click, k) => ({
    whole: click.duration,
    http: answers[k].duration,
    page: click.startTime + click.duration - answers[k].responseEnd,
    steps: click.detail,
  }));
}"""


def main():
    """Prints a table."""
    command = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    command.add_argument("photos", nargs="+", type=Path)
    command.add_argument("--clicks", type=int, default=45)
    arguments = command.parse_args()
    path = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for photo in arguments.photos:
            print(photo.name)
            copy = shutil.copy(photo, folder)  # masks are saved beside a photo
            for part, spent in parts(measure(browser, copy, arguments.clicks)).items():
                quartiles = " ".join(f"{value:6.1f}" for value in statistics.quantiles(spent, n=4))
                print(f"  {part:22} {min(spent):6.1f} {quartiles}", flush=True)


def measure(browser, photo, clicks):
    """What the page measured of each click."""
    command = [sys.executable, "-m", "focalrt.cli", "annotate", str(photo), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(re.search(r"http://\S+", server.stdout.readline()).group())
    page.locator("#saved", has_text="Saved").wait_for()
    stage = page.locator("#stage").bounding_box()
    for k in range(clicks):
        if k % OBJECT == 0:
            page.keyboard.press("n")
        across, down = 0.35 + 0.3 * (k * 0.618 % 1), 0.3 + 0.4 * (k * 0.755 % 1)
        x, y = stage["x"] + across * stage["width"], stage["y"] + down * stage["height"]
        page.mouse.click(x, y, button="left" if k % 3 else "right")
        page.locator("#saved", has_text="Saved").wait_for()
        page.wait_for_timeout(100)
    measured = page.evaluate(MEASURED)
    page.close()
    server.terminate()
    server.wait()
    server.stdout.close()
    return measured[FIRST:]


def parts(measured):
    """Milliseconds of each part, for each click."""
    networks = [sum(click["steps"][name] for name in NETWORKS) for click in measured]
    steps = [sum(click["steps"].values()) for click in measured]
    return {
        "all but the networks": [click["whole"] - spent for click, spent in zip(measured, networks, strict=True)],
        "page": [click["page"] for click in measured],
        "http": [click["http"] - spent for click, spent in zip(measured, steps, strict=True)],
        "steps": [spent - heavy for spent, heavy in zip(steps, networks, strict=True)],
        "networks": networks,
    }


if __name__ == "__main__":
    main()
