/** OFT and BOFT at (nearly) equal free numbers: what each can mix, side by side. */
import { useMemo } from 'react';
import { say } from '../../../common.ts';
import { percent, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Block, Lines } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { MatrixCanvas } from '../inspect/MatrixCanvas.tsx';
import { useMapColors } from '../inspect/painters.ts';
import { productPainter, reachedOf } from './ProductMap.tsx';
import { freeNumbers, partnerOf, patternOf, type Setting, settingText } from './setting.ts';
import { denseFrom, productsOf, wiringOf } from './wiring.ts';

export function Equal(props: { readonly setting: Setting; readonly onChoose: (setting: Setting) => void }) {
  const { setting, onChoose } = props;
  const partner = useMemo(() => partnerOf(setting), [setting]);
  if (partner === null)
    return (
      <Block title={say`At equal free numbers`} label={say`OFT and BOFT`}>
        <p className="hint">
          {say`${setting.method === 'oft' ? 'BOFT' : 'OFT'} has no legal setting for ${setting.dimension} inputs.`}
        </p>
      </Block>
    );
  const pair = setting.method === 'oft' ? [setting, partner] : [partner, setting];
  const [mine, theirs] = [freeNumbers(setting), freeNumbers(partner)];
  return (
    <Block
      title={mine === theirs ? say`At equal free numbers` : say`At the nearest free numbers`}
      label={say`OFT and BOFT`}
      beside={
        <Action kind="link" text={say`show ${settingText(partner)}`} onPress={() => onChoose(partner)} />
      }
    >
      <div className="strip strip-2">
        {pair.map((one) => (
          <Side key={one.method} setting={one} />
        ))}
      </div>
      <p className="hint equal" data-testid="equal">
        {nearText(mine, theirs)} {say`BOFT’s scale of the outputs is not counted.`}
        <Measured of="reach" about={say`reach and fill`} />
      </p>
    </Block>
  );
}

function nearText(mine: number, theirs: number): string {
  if (mine === theirs) return say`Both have ${whole(mine)} free numbers in the rotation.`;
  const share = percent(Math.abs(theirs / mine - 1));
  return theirs > mine
    ? say`The nearest that is legal: ${whole(theirs)} free numbers for ${whole(mine)}, ${share} more.`
    : say`The nearest that is legal: ${whole(theirs)} free numbers for ${whole(mine)}, ${share} fewer.`;
}

function Side({ setting }: { readonly setting: Setting }) {
  const colors = useMapColors();
  const wiring = useMemo(() => wiringOf(patternOf(setting))!, [setting]);
  const k = wiring.stages.length;
  const painter = useMemo(() => productPainter(wiring, k, colors), [wiring, k, colors]);
  const { fill } = productsOf(wiring)[k - 1]!;
  const dense = denseFrom(wiring);
  return (
    <div data-testid={`equal-${setting.method}`}>
      <MatrixCanvas
        painter={painter}
        label={say`${settingText(setting)}: ${percent(fill)} of the rotation filled`}
        caption={settingText(setting)}
      />
      <Lines
        head={[]}
        rows={[
          [say`free`, whole(freeNumbers(setting))],
          [say`reach`, say`${whole(reachedOf(wiring, k))} of ${whole(setting.dimension)}`],
          [say`filled`, percent(fill)],
          [
            say`dense`,
            dense === null ? say`no` : dense === 1 ? say`from 1 factor on` : say`from ${dense} factors on`,
          ],
        ]}
      />
    </div>
  );
}
