/** The few calls of plotly's cartesian bundle that the charts use; the package brings no types of its own. */
declare module 'plotly.js-cartesian-dist-min' {
  interface Plotly {
    react(element: HTMLElement, data: readonly object[], layout: object, config: object): Promise<unknown>;
    purge(element: HTMLElement): void;
    downloadImage(element: HTMLElement, options: object): Promise<string>;
    Plots: { resize(element: HTMLElement): void };
  }
  const plotly: Plotly;
  export default plotly;
}
