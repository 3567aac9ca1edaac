// The photo: decoded once, drawn from the smallest of its halvings that still is sharp.

import { download } from "./wire.js";

export class Photo {
  /** Fetches and decodes; the browser turns it upright. Throws what `download` does, and Error for no image. */
  static async load(name) {
    const blob = await download(name);
    try {
      return new Photo(await createImageBitmap(blob));
    } catch {
      throw new Error(`${name} cannot be shown by this browser.`);
    }
  }

  constructor(bitmap) {
    this.levels = [bitmap];
  }

  get width() {
    return this.levels[0].width;
  }

  get height() {
    return this.levels[0].height;
  }

  close() {
    this.levels[0].close();
  }

  /** `scale`: device pixels that a pixel of the photo fills. */
  level(scale) {
    let k = 0;
    while (scale * 2 ** (k + 1) <= 1 && Math.min(this.width, this.height) >> (k + 1) > 0) k++;
    while (this.levels.length <= k) this.levels.push(halved(this.levels.at(-1)));
    return this.levels[k];
  }

  draw(context, view, ratio) {
    const scale = view.scale * ratio;
    context.imageSmoothingEnabled = scale < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(
      this.level(scale), view.x * ratio, view.y * ratio, this.width * scale, this.height * scale,
    );
  }
}

function halved(picture) {
  const half = document.createElement("canvas");
  half.width = Math.ceil(picture.width / 2);
  half.height = Math.ceil(picture.height / 2);
  half.getContext("2d").drawImage(picture, 0, 0, half.width, half.height);
  return half;
}
