/** Driving the butterfly view: a wiring is dialled, and pictures are asked what they show. */
import type { Page } from 'puppeteer-core';
import { named, part, until } from './page-tools.ts';
import { untilSeen } from './seen.ts';

/** 32 inputs are turned by three factors of blocks of 4 when this is chosen in the playground. */
export const START = 'v=1&preset=letters-boft&seed=1';

export const setting = (page: Page) =>
  page.$eval(part('butterfly'), (one) => (one as HTMLElement).dataset.setting);

/** What a picture says of itself in its data, by name. */
export const data = (page: Page, id: string, name: string) =>
  page.$eval(part(id), (one, key) => (one as HTMLElement).dataset[key], name);

/** Presses a usual value of a dial. */
export const dial = async (page: Page, title: string, value: number) => {
  const stop = await until(
    () => page.$(`${named(`Usual values of ${title}`)} ::-p-xpath(.//button[text()="${value}"])`),
    `${value} of ${title}`,
    20,
  );
  await stop.evaluate((one) => (one as HTMLElement).click());
};

export async function toWiring(page: Page, d: number, b: number, m: number): Promise<void> {
  await dial(page, 'Factors', 1);
  await dial(page, 'Inputs', d);
  await dial(page, 'Block size', b);
  await dial(page, 'Factors', m);
  await untilSeen(
    () => setting(page),
    (seen) => seen === `boft ${d} ${b} ${m}`,
    'the wiring',
    20,
  );
}

export const lit = (page: Page, id: string, count: number) =>
  untilSeen(
    () => data(page, id, 'lit'),
    (seen) => seen === String(count),
    `${count} lit in ${id}`,
    20,
  );
