import { canonical } from './quote.js';
import { z } from 'zod';
/* Rows of catalogQueries. They come from the target, which is not trusted to be well-formed. */
const name = z.string();
const names = z.array(z.tuple([name, name]));
const row = z.union([
    z.tuple([z.literal('m'), z.array(name).nullable(), z.array(name)]),
    z.tuple([z.literal('r'), z.number(), name, name, z.string(), z.array(z.tuple([name, z.number()])).nullable(), z.string().nullable(), z.boolean()]),
    z.tuple([z.literal('i'), z.number(), z.number()]),
    z.tuple([z.literal('d'), z.number(), z.number(), names]),
    z.tuple([z.literal('g'), z.number(), name, name, z.number()]),
    z.tuple([z.literal('c'), z.number(), z.number(), z.string(), z.string()]),
    z.tuple([z.literal('f'), name, name, z.enum(['i', 's', 'v']), z.boolean()]),
    z.tuple([z.literal('o'), name, name, name, name]),
    z.tuple([z.literal('t'), name, name, z.string(), names.nullable()]),
]);
const kinds = {
    r: 'table', v: 'view', m: 'matview', p: 'partitioned', f: 'foreign', S: 'sequence', i: 'index', I: 'index', c: 'composite',
};
/** pg_trigger.tgtype, see pg_trigger.h. */
const triggerBits = [
    [4, 'insert'],
    [8, 'delete'],
    [16, 'update'],
    [32, 'truncate'],
];
/** A snapshot of a target's catalog. Immutable once made; shared by sessions. */
export class SnapshotCatalog {
    complete = true;
    definitionPath;
    #schemas;
    #bySchema = new Map();
    #byOid = new Map();
    #byName = new Map();
    #functions = new Map();
    #operators = new Map();
    #types = new Map();
    constructor(content) {
        this.definitionPath = content.definitionPath;
        this.#schemas = new Set(content.schemas);
        for (const relation of content.relations) {
            let schema = this.#bySchema.get(relation.schema);
            if (!schema)
                this.#bySchema.set(relation.schema, (schema = new Map()));
            schema.set(relation.name, relation);
            this.#byOid.set(relation.oid, relation);
            this.#byName.set(canonical(relation.schema, relation.name), relation);
        }
        for (const info of content.functions)
            push(this.#functions, canonical(info.schema, info.name), info);
        for (const info of content.operators)
            push(this.#operators, info.name, info);
        for (const info of content.types)
            this.#types.set(canonical(info.schema, info.name), info);
    }
    hasSchema(schema) {
        return this.#schemas.has(schema);
    }
    relation(schema, relation) {
        return this.#bySchema.get(schema)?.get(relation);
    }
    relationByOid(oid) {
        return this.#byOid.get(oid);
    }
    relationNamed(canonicalName) {
        return this.#byName.get(canonicalName);
    }
    functions(schema, called) {
        return this.#functions.size === 0 ? none : (this.#functions.get(canonical(schema, called)) ?? none);
    }
    operators(symbol) {
        return this.#operators.size === 0 ? none : (this.#operators.get(symbol) ?? none);
    }
    type(schema, typeName) {
        return this.#types.size === 0 ? undefined : this.#types.get(canonical(schema, typeName));
    }
    /** All relations, for tools and tests. */
    relations() {
        return this.#byOid.values();
    }
}
const none = [];
function push(map, key, value) {
    const list = map.get(key);
    if (list)
        list.push(value);
    else
        map.set(key, [value]);
}
/** Columns of system catalogs are the same for every target of a version: kept once. */
const systemColumns = new Map();
const maxSystemShapes = 4096;
/**
 * A snapshot from the rows of all `catalogQueries`, in any order.
 * @throws {Error} when a row isn't what the query gives
 */
export function parseCatalogRows(rows) {
    const drafts = new Map();
    const rest = [];
    const content = { definitionPath: [], schemas: [], functions: [], operators: [], types: [] };
    for (const text of rows) {
        const parsed = row.safeParse(JSON.parse(text));
        if (!parsed.success)
            throw new Error("a row of the target's catalog is not as expected");
        const entry = parsed.data;
        switch (entry[0]) {
            case 'm':
                content.definitionPath = entry[1] ?? [];
                content.schemas = entry[2];
                break;
            case 'r':
                drafts.set(entry[1], relationDraft(entry));
                break;
            case 'f':
                content.functions.push({ schema: entry[1], name: entry[2], volatile: entry[3], returnsSet: entry[4] });
                break;
            case 'o':
                content.operators.push({ schema: entry[1], name: entry[2], function: canonical(entry[3], entry[4]) });
                break;
            case 't':
                content.types.push({ schema: entry[1], name: entry[2], kind: typeKinds[entry[3]] ?? 'base', calls: (entry[4] ?? []).map(([schema, called]) => canonical(schema, called)) });
                break;
            default:
                rest.push(entry);
        }
    }
    for (const entry of rest)
        attach(drafts, entry);
    return new SnapshotCatalog({ ...content, relations: [...drafts.values()] });
}
const typeKinds = { e: 'enum', d: 'domain', c: 'composite', r: 'range', m: 'range', b: 'base' };
function relationDraft(entry) {
    const [, oid, schema, relname, kind, columns, definition, rules] = entry;
    const list = (columns ?? []).map(([column, number]) => ({ name: column, number }));
    const draft = {
        oid, schema, name: relname, kind: kinds[kind] ?? 'other', columns: list, children: [], parents: [], triggers: [], cascades: [], hasRules: rules,
    };
    if (definition !== null)
        draft.definition = definition;
    if (schema === 'pg_catalog' || schema === 'information_schema')
        shareColumns(draft, relname);
    return draft;
}
function shareColumns(draft, relname) {
    const key = `${relname} ${draft.columns.map((column) => `${column.name} ${String(column.number)}`).join(',')}`;
    const known = systemColumns.get(key);
    if (known)
        draft.columns = known;
    else if (systemColumns.size < maxSystemShapes)
        systemColumns.set(key, draft.columns);
}
const referential = { c: 'delete', n: 'update', d: 'update' };
function attach(drafts, entry) {
    if (entry[0] === 'i') {
        const child = drafts.get(entry[1]);
        const parent = drafts.get(entry[2]);
        if (!child || !parent || child.kind === 'index')
            return;
        child.parents.push(canonical(parent.schema, parent.name));
        parent.children.push(canonical(child.schema, child.name));
    }
    else if (entry[0] === 'd') {
        const draft = drafts.get(entry[1]);
        const index = draft?.columns.findIndex((column) => column.number === entry[2]) ?? -1;
        const at = Math.max(index, 0);
        const column = draft?.columns[at];
        const calls = entry[3].map(([schema, called]) => canonical(schema, called));
        if (draft && column)
            draft.columns[at] = { ...column, calls: [...(column.calls ?? []), ...calls] };
    }
    else if (entry[0] === 'g') {
        const events = triggerBits.filter(([bit]) => (entry[4] & bit) !== 0).map(([, event]) => event);
        drafts.get(entry[1])?.triggers.push({ function: canonical(entry[2], entry[3]), events });
    }
    else if (entry[0] === 'c') {
        const target = drafts.get(entry[1]);
        const source = drafts.get(entry[2]);
        if (!target || !source)
            return;
        const table = canonical(source.schema, source.name);
        target.referencedBy = [...(target.referencedBy ?? []), table];
        const onDelete = referential[entry[3]];
        if (onDelete !== undefined)
            target.cascades.push({ table, on: 'delete', action: onDelete });
        if (referential[entry[4]] !== undefined)
            target.cascades.push({ table, on: 'update', action: 'update' });
    }
}
const sessionRow = z.tuple([
    z.array(name).nullable(),
    name,
    name,
    name.nullable(),
    z.array(z.tuple([z.number(), name, z.string(), z.array(z.tuple([name, z.number()])).nullable(), z.string().nullable(), z.boolean(), names.nullable()])).nullable(),
    z.string(),
]);
/** What `sessionQuery` tells of a connection. @throws {Error} when the row isn't what the query gives */
export function parseSessionRow(text) {
    const parsed = sessionRow.safeParse(JSON.parse(text));
    if (!parsed.success)
        throw new Error("the session's row is not as expected");
    const [path, currentUser, database, tempSchema, relations] = parsed.data;
    const temporary = (relations ?? []).map(([oid, relname, kind, columns, definition, rules, parents]) => {
        const draft = relationDraft(['r', oid, 'pg_temp', relname, kind, columns, definition, rules]);
        return { ...draft, parents: (parents ?? []).map(([schema, parent]) => canonical(schema, parent)) };
    });
    // The temporary schema in the path is written as the alias that names it on every connection.
    const searchPath = (path ?? []).map((schema) => (schema === tempSchema ? 'pg_temp' : schema));
    return { searchPath, currentUser, database, temporary, ...(tempSchema === null ? {} : { tempSchema }) };
}
/** The catalog of policy tests: nothing is known, unknown names are taken to be in `public`. */
export function offlineCatalog() {
    return new OfflineCatalog({ definitionPath: [], schemas: [], relations: [], functions: [], operators: [], types: [] });
}
class OfflineCatalog extends SnapshotCatalog {
    complete = false;
}
/** Names as policy tests see them. */
export const offlineNames = { searchPath: ['public'], currentUser: '', database: '', prepared: new Map(), cursors: new Map(), transactionClean: true };
//# sourceMappingURL=catalog.js.map