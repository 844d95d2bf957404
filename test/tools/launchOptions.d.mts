/** Types of launchOptions.mjs. */
import type { LaunchOptions } from 'puppeteer-core';
import type { BrowserKind } from './machine.mjs';
export function launchOptions(kind: BrowserKind, hasWebGpu: boolean): LaunchOptions;
