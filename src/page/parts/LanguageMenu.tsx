/** The language of the page, chosen by hand. */
import { Button, Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components';
import { language } from '../../common.ts';
import { chooseLanguage, LOCALES, ownName } from '../language.ts';
import { Icon } from './Icon.tsx';

/** What it is called in the languages that there are: whoever looks for it may not read the one on screen. */
const LABEL = 'Language, 语言';

export function LanguageMenu({ onProblem }: { readonly onProblem: (sentence: string) => void }) {
  const choose = async (locale: string) => {
    const problem = await chooseLanguage(locale);
    if (problem !== null) onProblem(problem);
  };
  return (
    <MenuTrigger>
      <Button className="icon-button" aria-label={LABEL} data-testid="language">
        <Icon name="language" />
      </Button>
      <Popover className="popover" placement="bottom end" offset={4}>
        <Menu
          className="listbox"
          aria-label={LABEL}
          selectionMode="single"
          selectedKeys={[language().locale]}
          onAction={(locale) => void choose(String(locale))}
        >
          {LOCALES.map((locale) => (
            <MenuItem key={locale} id={locale} className="listbox-item" lang={locale}>
              {ownName(locale)}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
