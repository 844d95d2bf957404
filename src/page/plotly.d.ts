/** The few calls of plotly's cartesian bundle that the charts use; the package brings no types of its own. */
declare module 'plotly.js-basic-dist-min' {
  interface Plotly {
    react(element: HTMLElement, data: readonly object[], layout: object, config: object): Promise<unknown>;
    purge(element: HTMLElement): void;
    /** A data URL of a chart that need not be on screen. */
    toImage(
      chart: { readonly data: readonly object[]; readonly layout: object },
      options: object,
    ): Promise<string>;
    Plots: { resize(element: HTMLElement): void };
  }
  const plotly: Plotly;
  export default plotly;
}
