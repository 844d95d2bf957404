/** Angles between neurons as the pages say them. */
import { fixed, power } from '../../format.ts';

export const degreesOf = (radians: number): number => (radians * 180) / Math.PI;

/** 43.0° */
export const degrees = (radians: number): string => `${fixed(degreesOf(radians), 1)}°`;

/** A difference of angles, which may be nothing but rounding. */
export function change(radians: number): string {
  const value = degreesOf(radians);
  return `${value === 0 ? '0' : value < 0.1 ? power(value) : fixed(value, 1)}°`;
}
