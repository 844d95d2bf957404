/** The style sheet's colours for canvases and charts: one set of variables drives everything. */

/** The value of a CSS variable now. */
export function cssColor(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

/** Red, green and blue, 0 … 255, of a CSS variable that holds #rrggbb. */
export function rgbOf(variable: string): readonly [number, number, number] {
  const hex = Number.parseInt(cssColor(variable).slice(1), 16);
  return [(hex >> 16) & 255, (hex >> 8) & 255, hex & 255];
}

export const LINE_DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash', 'solid'] as const;
