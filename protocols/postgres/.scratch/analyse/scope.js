import { computed, noSources } from './lineage.js';
const systemColumns = new Set(['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax']);
/** One query level: FROM items and CTEs, inside the level that it is nested in. */
export class Scope {
    parent;
    items = [];
    ctes = new Map();
    /** Columns that a named window of this level partitions and orders by. */
    windows = new Map();
    constructor(parent) {
        this.parent = parent;
    }
    /** The same level without its FROM items: what a subquery that isn't LATERAL sees, and a branch of a set operation. */
    withoutItems() {
        const scope = new Scope(this.parent);
        for (const [name, cte] of this.ctes)
            scope.ctes.set(name, cte);
        return scope;
    }
    cte(name) {
        for (let scope = this; scope; scope = scope.parent) {
            const found = scope.ctes.get(name);
            if (found)
                return found;
        }
        return undefined;
    }
    /**
     * An unqualified column: nearest level first, as the server does. Where two items of a level have the name (an error for the
     * server), or an item's columns aren't known, all that it might be are merged.
     */
    column(name) {
        const candidates = [];
        for (let scope = this; scope; scope = scope.parent) {
            let certain = false;
            for (const item of scope.items) {
                if (!item.columnsVisible)
                    continue;
                const value = find(item.columns, name);
                if (value) {
                    candidates.push(value);
                    certain = true;
                }
                else if (item.open && item.other)
                    candidates.push(item.other(name));
            }
            if (certain)
                break;
        }
        if (candidates.length === 1)
            return candidates[0];
        return candidates.length === 0 ? undefined : computed(candidates);
    }
    /** A system column of a base relation, unqualified. */
    systemColumn(name) {
        if (!systemColumns.has(name))
            return undefined;
        for (let scope = this; scope; scope = scope.parent) {
            for (const item of scope.items)
                if (item.base && item.other)
                    return item.other(name);
        }
        return undefined;
    }
    window(name) {
        for (let scope = this; scope; scope = scope.parent) {
            const found = scope.windows.get(name);
            if (found)
                return found;
        }
        return undefined;
    }
    /** The FROM item that `alias` or `schema.alias` names. */
    item(alias, schema) {
        for (let scope = this; scope; scope = scope.parent) {
            for (const item of scope.items) {
                if (item.relationVisible && item.alias === alias && (schema === undefined || item.schema === schema))
                    return item;
            }
        }
        return undefined;
    }
}
export function find(columns, name) {
    let found;
    for (const column of columns) {
        if (column.name !== name)
            continue;
        found = found === undefined ? column.value : computed([found, column.value]);
    }
    return found;
}
/** A column of an item by its name, system columns included. */
export function columnOf(item, name) {
    const value = find(item.columns, name);
    if (value)
        return value;
    if (item.other && (item.open || (item.base && systemColumns.has(name))))
        return item.other(name);
    return undefined;
}
/** The item as one value: all its columns. */
export function wholeRow(item) {
    const values = item.columns.map((column) => column.value);
    if (item.open && item.other)
        values.push(item.other('*'));
    const row = { columns: item.columns, open: item.open };
    return { sources: computed(values).sources, direct: false, row };
}
/** Columns renamed by an alias's list: the first ones take the new names. */
export function renamed(columns, names, open, other) {
    const out = columns.map((column, index) => ({ name: names[index] ?? column.name, value: column.value }));
    // More names than columns known: the rest rename columns that aren't known, so each may be any of them.
    for (let index = columns.length; open && index < names.length; index++)
        out.push({ name: names[index] ?? '', value: other?.('*') ?? noSources });
    return out;
}
export function newItem(item) {
    return { ...item, columnsVisible: true, relationVisible: true };
}
//# sourceMappingURL=scope.js.map