/** The key to a diverging colour scale. */
export function Scale({ limit }: { readonly limit: number }) {
  return (
    <span className="scale">
      −{figure(limit)}
      <i className="scale-bar" />
      {figure(limit)}
    </span>
  );
}

const figure = (value: number): string =>
  value >= 0.01 ? String(Number(value.toPrecision(2))) : value.toExponential(0);
