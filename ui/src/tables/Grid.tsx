/**
 * A table of any length: only the rows in sight are in the page. Sorted by its headers, steered by
 * keys (j k arrows Home End PageUp PageDown Enter x m), told to screen readers as an ARIA grid.
 */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { grouped, layout, type Group, type Item } from "../model/groups";
import { narrow, param } from "../model/route";

export interface Column<T> {
  key: string;
  label: string;
  width: string; // a grid track: "80px", "minmax(120px, 2fr)"
  cell: (row: T) => ComponentChildren;
  sort?: (row: T) => number | string;
  right?: boolean;
  mute?: boolean; // its label is only read aloud
  from?: number; // shown when the table is at least this wide, px
  wide?: (row: T) => boolean; // takes the place of those after it, but for the last
}

export interface GridProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  sort: string; // "cpu" or "-cpu"
  onSort: (sort: string) => void;
  onOpen?: (row: T) => void;
  onMenu?: (row: T) => void; // by the key m
  selected?: ReadonlySet<string>;
  onSelect?: (ids: string[], range?: boolean) => void;
  dim?: (row: T) => boolean; // what may no longer be so
  tall?: boolean; // may fill most of the window
  group?: Grouping<T> | undefined;
}

/** Rows together under a head, which shuts and opens them; which are shut is in the address. */
export interface Grouping<T> {
  by: (row: T) => string;
  summary: (rows: T[]) => ComponentChildren;
}

const ROW = 32;
const SPARE = 6;

export function Grid<T>(props: GridProps<T>) {
  const { columns, rows, id, sort } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 640, width: 1000 });
  const [active, setActive] = useState("");
  const anchor = useRef("");
  useEffect(() => measure(box.current, setView), []);

  const shown = columns.filter((column) => (column.from ?? 0) <= view.width);
  const { group } = props;
  const shut = new Set(group ? param("shut").split(",").filter(Boolean).map(decodeURIComponent) : []);
  const list = group ? layout(grouped(rows, group.by), shut) : null;
  const count = list?.count ?? rows.length;
  const item = (i: number): Item<T> => list?.item(i) ?? { row: rows[i] as T };
  const name = (one: Item<T>) => ("head" in one ? `▸${one.head.name}` : id(one.row));
  const at = !active ? -1 : list ? list.find((one) => name(one) === active) : rows.findIndex((row) => id(row) === active);
  const first = Math.max(0, Math.floor(view.top / ROW) - SPARE);
  const last = Math.min(count, Math.ceil((view.top + view.height) / ROW) + SPARE);
  const flip = (head: Group<T>) => {
    const next = new Set(shut);
    if (!next.delete(head.name)) next.add(head.name);
    narrow({ shut: [...next].map(encodeURIComponent).join(",") });
  };
  const tracks = { gridTemplateColumns: shown.map((column) => column.width).join(" ") };

  const move = (to: number) => {
    if (!count) return;
    const index = Math.max(0, Math.min(count - 1, to));
    setActive(name(item(index)));
    scrollTo(box.current, index);
  };
  /** One row, or all from the one picked before to it. */
  const pick = (row: T, range: boolean) => {
    const from = range ? rows.findIndex((one) => id(one) === anchor.current) : -1;
    const to = rows.indexOf(row);
    anchor.current = id(row);
    if (from < 0) props.onSelect?.([id(row)]);
    else props.onSelect?.(rows.slice(Math.min(from, to), Math.max(from, to) + 1).map(id), true);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(view.height / ROW) - 1);
    const steps: Record<string, number> = { j: at + 1, ArrowDown: at + 1, k: at - 1, ArrowUp: at - 1, Home: 0, End: count - 1, PageDown: at + page, PageUp: at - page };
    const to = steps[event.key];
    const here = at >= 0 ? item(at) : undefined;
    const row = here && "row" in here ? here.row : undefined;
    if (event.target !== box.current || event.metaKey || event.ctrlKey || event.altKey) return;
    if (to !== undefined) move(to);
    else if (event.key === "Enter" && here && "head" in here) flip(here.head);
    else if (event.key === "Enter" && row) props.onOpen?.(row);
    else if (event.key === "m" && row && props.onMenu) props.onMenu(row);
    else if (event.key.toLowerCase() === "x" && row && props.onSelect) pick(row, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class={`grid${props.tall ? " tall" : ""}`} ref={box} role={group ? "treegrid" : "grid"} aria-label={props.label} aria-rowcount={count + 1} aria-colcount={columns.length} tabIndex={0}
      aria-activedescendant={at >= 0 ? rowId(props.label, active) : undefined} onKeyDown={onKeyDown}
      onScroll={(event) => setView({ ...view, top: (event.currentTarget as HTMLElement).scrollTop })}>
      <div class="grid-head" role="row" aria-rowindex={1} style={tracks}>
        {shown.map((column) => <Head key={column.key} column={column} sort={sort} onSort={props.onSort} />)}
      </div>
      <div class="grid-body" role="rowgroup" style={{ height: `${count * ROW}px` }}>
        {Array.from({ length: Math.max(0, last - first) }, (_, i) => {
          const one = item(first + i);
          const place = { transform: `translateY(${(first + i) * ROW}px)` };
          if ("head" in one) return (
            <div key={name(one)} id={rowId(props.label, name(one))} role="row" aria-rowindex={first + i + 2} aria-expanded={!shut.has(one.head.name)} class={`grid-row grid-group${name(one) === active ? " active" : ""}`} style={place}>
              <div role="gridcell"><button type="button" class="quiet" tabIndex={-1} onClick={() => flip(one.head)}><span aria-hidden="true">{shut.has(one.head.name) ? "▸" : "▾"}</span> {one.head.name || "without"}</button> <span class="muted">{group?.summary(one.head.rows)}</span></div>
            </div>
          );
          const { row } = one;
          return <div key={id(row)} id={rowId(props.label, id(row))} role="row" aria-rowindex={first + i + 2} aria-selected={props.selected?.has(id(row))}
            class={`grid-row${id(row) === active ? " active" : ""}${props.onOpen ? " opens" : ""}${props.dim?.(row) ? " away" : ""}`} style={{ ...tracks, ...place }}
            onClick={(event) => clicked(event, row, props, setActive, pick)}>
            {cells(shown, row).map(([column, span]) => (
              <div key={column.key} role="gridcell" class={column.right ? "right" : ""} {...(span > 1 ? { style: { gridColumn: `span ${span}` }, "aria-colspan": span } : {})}>{column.cell(row)}</div>
            ))}
          </div>;
        })}
      </div>
      {rows.length === 0 && <p class="empty">No matches.</p>}
    </div>
  );
}

/** The columns of one row, and how many places each takes. */
function cells<T>(columns: Column<T>[], row: T): [Column<T>, number][] {
  const at = columns.findIndex((column) => column.wide?.(row));
  if (at < 0) return columns.map((column) => [column, 1]);
  const last = columns.length - 1;
  return columns.filter((_, i) => i <= at || i === last).map((column, i) => [column, i === at ? last - at : 1]);
}

function Head<T>({ column, sort, onSort }: { column: Column<T>; sort: string; onSort: (sort: string) => void }) {
  const up = sort === column.key;
  const down = sort === `-${column.key}`;
  return (
    <div role="columnheader" class={column.right ? "right" : ""} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
      {column.sort ? (
        <button type="button" onClick={() => onSort(down ? column.key : `-${column.key}`)}>
          {column.label} <span aria-hidden="true">{up ? "▲" : down ? "▼" : ""}</span>
        </button>
      ) : (
        <span class={column.mute ? "sr" : ""}>{column.label}</span>
      )}
    </div>
  );
}

function clicked<T>(event: MouseEvent, row: T, props: GridProps<T>, setActive: (id: string) => void, pick: (row: T, range: boolean) => void): void {
  const target = event.target as Element;
  if (target.closest("a, button, input, select")) return;
  setActive(props.id(row));
  if (event.shiftKey && props.onSelect) pick(row, true);
  else props.onOpen?.(row);
}

function measure(box: HTMLDivElement | null, set: (view: { top: number; height: number; width: number }) => void): (() => void) | void {
  if (!box) return;
  const observer = new ResizeObserver(() => set({ top: box.scrollTop, height: box.clientHeight, width: box.clientWidth }));
  observer.observe(box);
  return () => observer.disconnect();
}

function scrollTo(box: HTMLDivElement | null, index: number): void {
  if (!box) return;
  const top = index * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + 2 * ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + 2 * ROW - box.clientHeight;
}

const rowId = (label: string, id: string) => `${label}-${id}`.replace(/[^\w-]/g, "_");

/** Rows in the order that a sort word says; equal rows keep their order. */
export function sorted<T>(rows: T[], columns: Column<T>[], sort: string): T[] {
  const key = sort.replace(/^-/, "");
  const by = columns.find((column) => column.key === key)?.sort;
  if (!by) return rows;
  const sign = sort.startsWith("-") ? -1 : 1;
  // Each key once; then places are sorted, not rows: ten thousand rows sort every second.
  const keys = rows.map(by);
  const places = rows.map((_, i) => i);
  if (keys.every((key) => typeof key === "number")) places.sort((a, b) => sign * ((keys[a] as number) - (keys[b] as number)));
  else places.sort((a, b) => sign * String(keys[a]).localeCompare(String(keys[b]), "en", { numeric: true }));
  return places.map((place) => rows[place] as T);
}
