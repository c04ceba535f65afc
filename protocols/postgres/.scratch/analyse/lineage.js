export const noSources = { sources: [], direct: false };
/**
 * Stands for "may come from any column of the database": a function that isn't known to look at its arguments only.
 * Masks must treat it as matching every column pattern.
 */
export const anyColumn = { table: '*.*', column: '*', full: '*.*.*' };
export const fromAnywhere = { sources: [anyColumn], direct: false };
/** Union of the sources, without doubles. */
export function union(lists) {
    let only;
    let filled = 0;
    for (const list of lists) {
        if (list.length === 0 || list === only)
            continue;
        filled++;
        only = list;
    }
    if (filled <= 1)
        return only ?? noSources.sources;
    const all = new Set();
    for (const list of lists)
        for (const column of list)
            all.add(column);
    return [...all];
}
/** A value computed from others. */
export function computed(values) {
    if (values.length === 0)
        return noSources;
    const sources = union(values.map((value) => value.sources));
    return sources.length === 0 ? noSources : { sources, direct: false };
}
//# sourceMappingURL=lineage.js.map