/** The check of the visitor's device, asked of the trainer: where it is, rows as they come, and the report to copy. */
import { createStore } from 'zustand/vanilla';
import { version } from '../../../../package.json';
import { say } from '../../../common.ts';
import {
  type DeviceCheckEvent,
  type DeviceCheckReport,
  deviceCheckText,
  type EngineName,
  type OpCheckRow,
} from '../../../protocol.ts';
import type { Page } from '../../page.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';

interface DeviceCheckView extends TaskView {
  readonly now: Extract<DeviceCheckEvent, { readonly type: 'case' }> | null;
  readonly rows: readonly OpCheckRow[];
  /** Once it has ended. */
  readonly report: DeviceCheckReport | null;
}

const nothing: DeviceCheckView = { busy: null, error: null, now: null, rows: [], report: null };

export type DeviceCheck = ReturnType<typeof createDeviceCheck>;

export function createDeviceCheck(
  trainer: Pick<TrainerClient, 'checkDevice' | 'stopDeviceCheck' | 'endUnless'>,
) {
  const view = createStore<DeviceCheckView>(() => nothing);
  const task = createTask(view);
  return {
    view,
    async start(engine: EngineName): Promise<void> {
      if (view.getState().busy !== null) return;
      await task.run(
        { ...nothing, busy: say`Loading the references` },
        async () => {
          const report = await trainer.checkDevice(engine, (event) => {
            if (view.getState().busy === null) return;
            view.setState(({ rows }) =>
              event.type === 'row' ? { rows: [...rows, event.row] } : { now: event, busy: say`Checking` },
            );
          });
          return { report, now: null };
        },
        { now: null },
      );
    },
    async stop(): Promise<void> {
      void trainer.stopDeviceCheck().catch(() => {});
      // Only a worker that hears nothing is ended, and rows that came stay.
      await trainer.endUnless();
    },
  };
}

const made = new WeakMap<Page, DeviceCheck>();

/** That of a page, made when it is first looked at. */
export function deviceCheckOf(page: Page): DeviceCheck {
  const known = made.get(page) ?? createDeviceCheck(page.trainer);
  made.set(page, known);
  return known;
}

/** The report with what it ran in; the name of the script tells one build from another. */
export const reportText = (report: DeviceCheckReport): string =>
  deviceCheckText(report, {
    Papilio: `${version}, ${new URL(import.meta.url).pathname.split('/').at(-1)}`,
    Browser: navigator.userAgent,
  });
