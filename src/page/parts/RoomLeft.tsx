/** How much room is left in this browser for what the page keeps; nothing where it does not say. */
import { useStore } from 'zustand';
import { say } from '../../common.ts';
import { bytes } from '../format.ts';
import { usePage } from '../usePage.ts';

export function RoomLeft() {
  const quota = useStore(usePage().room.view, (s) => s.quota);
  if (quota === null) return null;
  const left = bytes(Math.max(0, quota.totalBytes - quota.usedBytes));
  return (
    <span className="hint" data-testid="room-left">
      {say`Of the ${bytes(quota.totalBytes)} that this browser gives Papilio, ${left} are left.`}
    </span>
  );
}
