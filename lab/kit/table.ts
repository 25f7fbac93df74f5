export interface TableStyle {
  /** Where the cells of all columns but the first one stand. Default: 'right'. */
  readonly align?: 'left' | 'right';
  /** The least width of a column. Default: 0. */
  readonly minWidth?: number;
}

/** Pads the cells of each column to one width. */
export function padCells(rows: readonly (readonly string[])[], style: TableStyle = {}): string[][] {
  const { align = 'right', minWidth = 0 } = style;
  const widths = (rows[0] ?? []).map((_, at) => Math.max(minWidth, ...rows.map((row) => (row[at] ?? '').length)));
  return rows.map((row) =>
    row.map((cell, at) =>
      at === 0 || align === 'left' ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
    ),
  );
}

/** Lays rows out as indented lines for a terminal. */
export function renderTable(rows: readonly (readonly string[])[], style: TableStyle = {}): string[] {
  return padCells(rows, style).map((cells) => `  ${cells.join('  ')}`.trimEnd());
}
