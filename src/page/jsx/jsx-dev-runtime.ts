/** The same for the development server, which also says where an element was written. */
import { jsxDEV as reactJsx } from 'react/jsx-dev-runtime';
import { visibly } from './jsx-runtime.ts';

export type { JSX } from 'react';
export { Fragment } from 'react/jsx-dev-runtime';

export const jsxDEV: typeof reactJsx = (type, props, key, ...where) =>
  reactJsx(type, visibly(type, props as Record<string, unknown>), key, ...where);
