/** The one menu by which a chart or a picture is taken away: as a picture, or in numbers. */
import { Button, Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components';
import { say } from '../../common.ts';
import { usePage } from '../usePage.ts';
import { Icon } from './Icon.tsx';

export interface SaveItem {
  /** "Save picture (PNG)" */
  readonly title: string;
  readonly run: () => unknown;
}

/** @param of what is taken away: "Loss by step" */
export function SaveMenu({ of, items }: { readonly of: string; readonly items: readonly SaveItem[] }) {
  const { ui } = usePage();
  const run = async (title: string) => {
    try {
      await items.find((item) => item.title === title)?.run();
    } catch (error) {
      ui.setState({
        notice: say`${title}: ${error instanceof Error ? error.message : String(error)}. Nothing was saved.`,
      });
    }
  };
  return (
    <MenuTrigger>
      <Button className="icon-button save-button" aria-label={say`Take away: ${of}`}>
        <Icon name="download" />
      </Button>
      <Popover className="popover" placement="bottom end" offset={4}>
        <Menu
          className="listbox"
          aria-label={say`Take away: ${of}`}
          onAction={(key) => void run(String(key))}
        >
          {items.map(({ title }) => (
            <MenuItem key={title} id={title} className="listbox-item">
              {title}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
