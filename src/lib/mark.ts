/** Symbols of formulas that belong to a control: they have its name as a class, so that pointing at one lights the other. */

/** The class of everything that belongs to a symbol. */
export const symbolClass = (name: string): string => `sym-${name}`;

/** A symbol in the source of a KaTeX formula. */
export const mark = (name: string, tex: string = name): string => `\\htmlClass{${symbolClass(name)}}{${tex}}`;
