/** A small grey picture, pixel by pixel. */
import { useEffect, useRef } from 'react';

export function GreyPicture(props: {
  /** 0 … 1 as floats, or 0 … 255 as bytes. */
  readonly pixels: Float32Array | Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly label: string;
}) {
  const { pixels, width, height, label } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    const image = context.createImageData(width, height);
    const scale = pixels instanceof Uint8Array ? 1 : 255;
    for (let i = 0; i < width * height; i++) {
      const grey = pixels[i]! * scale;
      image.data.set([grey, grey, grey, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }, [pixels, width, height]);
  return (
    <canvas
      ref={canvas}
      className="grey-picture"
      width={width}
      height={height}
      role="img"
      aria-label={label}
    />
  );
}
