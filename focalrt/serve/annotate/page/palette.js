// Colours of objects that stay apart for colour-blind people too (Okabe and Ito, 2008); first the one that stands
// out on most photos.

export const PALETTE = ["#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2"];

/** The first colour that the fewest objects have. */
export function freshColour(taken) {
  const uses = (colour) => taken.filter((other) => other.toLowerCase() === colour).length;
  const fewest = Math.min(...PALETTE.map(uses));
  return PALETTE.find((colour) => uses(colour) === fewest);
}
