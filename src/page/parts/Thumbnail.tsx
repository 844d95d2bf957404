/** A small picture of one or three channels, as the model reads it. */
import { useEffect, useRef } from 'react';

export function Thumbnail(props: {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** [channels, height, width], 0 … 255. */
  readonly pixels: Uint8Array;
  readonly label: string;
}) {
  const { width, height, channels, pixels, label } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    const image = context.createImageData(width, height);
    const area = width * height;
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[(channels === 3 ? c * area : 0) + i]!;
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }, [width, height, channels, pixels]);
  return (
    <canvas ref={canvas} className="thumbnail" width={width} height={height} role="img" aria-label={label} />
  );
}
