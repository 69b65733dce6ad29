/** The sections of the administration that need a program. Rust draws the page around them, and the people without it. */
import { render } from 'preact';
import { speak } from '../i18n';
import type { Place } from './common';
import { ClientsSection } from './clients';
import { DuplicatesSection } from './duplicates';
import { ImportsSection } from './imports';
import { live } from './live';
import { PersonSection } from './person';
import { SlotsSection, SuspensionsSection } from './plans';
import { RightsSection } from './rights';
import { RulesSection } from './rules';
import { ClassesSection, DelegationsSection, JournalSection } from './school';
import { SecuritySection } from './security';
import { TablesSection } from './tables';
import { YearSection } from './year';

const SECTIONS: Record<string, (props: { place: Place }) => preact.JSX.Element> = {
  classes: ClassesSection,
  regles: RulesSection,
  delegations: DelegationsSection,
  journal: JournalSection,
  imports: ImportsSection,
  clients: ClientsSection,
  fiche: PersonSection,
  tableaux: TablesSection,
  doublons: DuplicatesSection,
  droits: RightsSection,
  securite: SecuritySection,
  annee: YearSection,
  plages: SlotsSection,
  suspensions: SuspensionsSection,
};

const root = document.getElementById('admin');
if (root?.dataset.section === 'charge') {
  void speak(document.documentElement.lang).then(() => {
    live(root);
    document.documentElement.dataset.ready = 'yes';
  });
}
const Section = SECTIONS[root?.dataset.section ?? ''];
if (root && Section) {
  const place = { school: root.dataset.school ?? '', territory: root.dataset.territory ?? '' };
  void speak(document.documentElement.lang).then(() => {
    root.textContent = '';
    render(<Section place={place} />, root);
    document.documentElement.dataset.ready = 'yes';
  });
}
