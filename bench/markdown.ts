import { describeVerdict, digits, type Line } from './report.js';

/** The table for a page of the documentation: a line a figure, a column a client. */
export function markdown(lines: readonly Line[]): string {
  const figures = [...new Set(lines.map(({ title, unit }) => `${title}, ${unit}`))];
  const isOfSizes = ({ entrant }: Line): boolean => /^ours-\d+$/.test(entrant);
  const rows = figures.map((figure) => {
    const own = lines.filter(({ title, unit }) => `${title}, ${unit}` === figure);
    const [first, ...others] = own.map(
      (line) => `${isOfSizes(line) || line.entrant !== 'ours' ? `${line.entrantTitle}: ` : ''}${cell(line)}`,
    );
    return `| ${[figure, first, others.join('; ')].join(' | ')} |`;
  });
  const missed = lines.flatMap((line) =>
    line.verdicts
      .filter(({ isKept }) => !isKept)
      .map((verdict) => `- ${line.title}, ${line.entrantTitle}: ${describeVerdict(verdict)}\n`),
  );
  return `| figure, median (least – most) | nestjs-rumqtt | others (ratio) |
| --- | --- | --- |
${rows.join('\n')}
${missed.length === 0 ? '' : `\nGoals missed in this run:\n\n${missed.join('')}`}`;
}

function cell({ median, min, max, ratio, rounds }: Line): string {
  const spread = rounds.length > 1 && min !== max ? ` (${digits(min)} – ${digits(max)})` : '';
  return `${digits(median)}${spread}${ratio === undefined ? '' : `, ${digits(ratio)}×`}`;
}
