/** Facts of a growing curve for React, read at most every 250 ms. */
import { useEffect, useState } from 'react';
import type { Series } from '../../../app/series.ts';

/** Renders again when the series has grown; returns its version. */
export function useSeries(series: Series | null): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    if (series === null) return;
    setVersion(series.version);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = series.subscribe(() => {
      timer ??= setTimeout(() => {
        timer = undefined;
        setVersion(series.version);
      }, 250);
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [series]);
  return version;
}
