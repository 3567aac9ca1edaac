"""Makes ``docs/annotate-light.jpg`` and ``docs/annotate-dark.jpg``: the page of ``focalrt annotate`` at work.

    python docs/screenshots.py

Needs the ``serve`` and ``test`` extras and a chromium or google-chrome on the path.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1440, "height": 900}
CUP = [(300, 110, True), (300, 230, True), (360, 300, False), (220, 285, True), (395, 270, False)]
HEAD = [(220, 110, True), (255, 235, False)]
SHOTS = {
    "light": ("coffee.jpg", [("Coffee", CUP)]),
    "dark": ("astronaut.jpg", [("Head", HEAD)]),
}


def main():
    """Writes the pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        shutil.copytree(HERE / "photos", folder, dirs_exist_ok=True)
        command = [sys.executable, "-m", "focalrt.cli", "annotate", folder, "--no-browser"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        address = re.search(r"http://\S+", server.stdout.readline()).group()
        path = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme, (photo, objects) in SHOTS.items():
            page = browser.new_page(viewport=SIZE, color_scheme=scheme)
            page.goto(f"{address}#{photo}")
            annotate(page, objects)
            page.screenshot(path=HERE / f"annotate-{scheme}.jpg", type="jpeg", quality=85)
        browser.close()
        server.terminate()
        server.wait()
        server.stdout.close()


def annotate(page, objects):
    """Draws objects, each with its clicks: (x, y, positive) in pixels of the photo."""
    idle(page)
    for name, clicks in objects:
        page.keyboard.press("n")
        page.keyboard.press("F2")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        for x, y, positive in clicks:
            page.mouse.click(*place(page, x, y), button="left" if positive else "right")
            idle(page)
    page.mouse.move(5, 5)
    page.wait_for_timeout(500)


def idle(page):
    """Waits until the server has answered everything."""
    page.locator("#saved", has_text="Saved").wait_for()


def place(page, x, y):
    """Where a pixel of the photo is on the screen, as long as all of the photo is."""
    stage = page.locator("#stage").bounding_box()
    zoom = int(page.locator("#fit").inner_text().rstrip(" %")) / 100
    name = page.locator("#name").inner_text()
    size = page.evaluate("name => fetch(`/api/images/${name}/open`, { method: 'POST' }).then(r => r.json())", name)
    left = stage["x"] + (stage["width"] - size["width"] * zoom) / 2
    top = stage["y"] + (stage["height"] - size["height"] * zoom) / 2
    return left + (x + 0.5) * zoom, top + (y + 0.5) * zoom


if __name__ == "__main__":
    main()
