import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const css = readFileSync('src/styles/tokens.css', 'utf8');

function tokens(block: string): Record<string, string> {
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{3,6});/g)].map((m) => [m[1] ?? '', m[2] ?? '']));
}

function luminance(hex: string): number {
  const full = hex.length === 4 ? hex.replace(/[0-9a-f]/g, '$&$&') : hex;
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const c = parseInt(full.slice(at, at + 2), 16) / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ratio(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

const [lightBlock = '', darkBlock = ''] = css.split('@media (prefers-color-scheme: dark)');
const light = tokens(lightBlock);
const themes = { light, dark: { ...light, ...tokens(darkBlock) } };

/** Text on its ground (4.5), and what only outlines or marks (3). */
const TEXT = [
  'ink/bg', 'ink/surface', 'ink/sunk', 'ink/brand-soft', 'muted/bg', 'muted/surface', 'muted/sunk',
  'on-brand/brand', 'brand/bg', 'brand/surface', 'brand/sunk', 'brand/brand-soft', 'info/info-bg', 'warn/warn-bg',
  'ok/ok-bg', 'err/err-bg', 'err/surface', 'ok/surface', 'warn/surface',
];
const MARKS = [
  'line/bg', 'line/surface', 'focus/bg', 'focus/surface',
  ...Array.from({ length: 8 }, (_, n) => `hue-${n}/surface`),
  ...Array.from({ length: 8 }, (_, n) => `hue-${n}/brand-soft`),
];

describe.each(Object.entries(themes))('contrast, %s', (_, theme) => {
  const measure = (pair: string): number => {
    const [ink = '', ground = ''] = pair.split('/');
    return ratio(theme[ink] ?? '#000', theme[ground] ?? '#000');
  };
  test.each(TEXT)('%s ≥ 4.5', (pair) => expect(measure(pair)).toBeGreaterThanOrEqual(4.5));
  test.each(MARKS)('%s ≥ 3', (pair) => expect(measure(pair)).toBeGreaterThanOrEqual(3));
});

test('both themes define every colour', () => {
  expect(Object.keys(tokens(darkBlock)).sort()).toEqual(Object.keys(light).sort());
});
