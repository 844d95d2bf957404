/** Labels of factors as they are read: the index of B_0 lowered. */
export const pretty = (label: string): string =>
  label.replace(/_(\d)/g, (_, digit: string) => '₀₁₂₃₄₅₆₇₈₉'[Number(digit)]!).replace('_', ' ');
