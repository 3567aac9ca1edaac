"""A window to click in, with nothing but the standard library: how to embed focalrt where a loop must not wait.

    python docs/window.py docs/photos/coffee.jpg

Left click: on the object. Right click: off it. Control-Z: undo. Clicks run one after the other on a thread of their
own, with two of the machine's cores; the window never waits, since ONNX Runtime and the kernels let other threads run.
"""

import sys
import tkinter
from concurrent.futures import ThreadPoolExecutor

import cv2

import focalrt
from focalrt.imagefile import read_image
from focalrt.overlay import draw


class Window:
    """A photo on the screen, its mask drawn over it, and the one thread that clicks."""

    def __init__(self, root, image):
        self.root, self.image = root, image
        self.worker = ThreadPoolExecutor(max_workers=1)  # a session belongs to one thread at a time
        self.session = self.worker.submit(lambda: focalrt.load(threads=2).session(image)).result()
        self.label = tkinter.Label(root)
        self.label.pack()
        for button, positive in ((1, True), (3, False)):
            self.label.bind(f"<Button-{button}>", lambda event, positive=positive: self.click(event, positive))
        root.bind("<Control-z>", lambda event: self.later(self.session.undo))
        self.show(draw(image, self.session.mask))

    def click(self, event, positive):
        """Has the worker click where the pointer is."""
        self.later(lambda: self.session.click(event.x, event.y, positive))

    def later(self, step):
        """Has the worker take a step and draw what came of it; the window takes the picture over when it next can."""

        def work():
            step()
            return draw(self.image, self.session.mask, self.session.clicks)

        self.wait(self.worker.submit(work))

    def wait(self, picture):
        """Looks every few milliseconds whether the picture is there: Tk is for the main thread alone."""
        if picture.done():
            self.show(picture.result())
        else:
            self.root.after(5, self.wait, picture)

    def show(self, pixels):
        """Puts RGB pixels on the screen."""
        content = cv2.imencode(".ppm", pixels[..., ::-1])[1].tobytes()
        self.photo = tkinter.PhotoImage(data=content)  # Tk does not keep it alive
        self.label.configure(image=self.photo)


if __name__ == "__main__":
    root = tkinter.Tk()
    window = Window(root, read_image(sys.argv[1]))
    root.mainloop()
    window.worker.shutdown()
