import { canonical } from './quote.js';
/**
 * The catalog as it will be while a query string runs: the snapshot, with the relations and schemas that earlier statements of
 * the string create, change or drop laid over it.
 */
export class OverlayCatalog {
    base;
    complete;
    #relations = new Map();
    #schemas = new Map();
    #functions = new Map();
    #types = new Map();
    #lineage = new WeakMap();
    #temporary;
    /** @param temporary the session's temporary relations, known by the schema `pg_temp` here */
    constructor(base, temporary = []) {
        this.base = base;
        this.complete = base.complete;
        this.#temporary = temporary;
    }
    /** True once anything was laid over: what was derived from the snapshot alone may then not be shared. */
    get changed() {
        return this.#relations.size > 0 || this.#schemas.size > 0;
    }
    get definitionPath() {
        return this.base.definitionPath;
    }
    hasSchema(schema) {
        return this.#schemas.get(schema) ?? this.base.hasSchema(schema);
    }
    relation(schema, name) {
        if (schema === 'pg_temp' && !this.#relations.has(canonical(schema, name)))
            return this.#temporary.find((relation) => relation.name === name);
        if (this.#relations.size === 0)
            return this.base.relation(schema, name);
        const key = canonical(schema, name);
        if (this.#relations.has(key))
            return this.#relations.get(key);
        if (this.#schemas.get(schema) === false)
            return undefined;
        return this.base.relation(schema, name);
    }
    relationByOid(oid) {
        return this.base.relationByOid(oid);
    }
    relationNamed(name) {
        return this.#relations.has(name) ? this.#relations.get(name) : this.base.relationNamed(name);
    }
    functions(schema, name) {
        const made = this.#functions.size === 0 ? undefined : this.#functions.get(canonical(schema, name));
        return made ? [...this.base.functions(schema, name), made] : this.base.functions(schema, name);
    }
    operators(name) {
        return this.base.operators(name);
    }
    type(schema, name) {
        return this.#types.get(canonical(schema, name)) ?? this.base.type(schema, name);
    }
    /** Where the values of a relation made in this string come from, by column. */
    lineage(relation) {
        return this.#lineage.get(relation);
    }
    create(relation, lineage) {
        this.#relations.set(canonical(relation.schema, relation.name), relation);
        if (lineage)
            this.#lineage.set(relation, lineage);
    }
    createFunction(info) {
        this.#functions.set(canonical(info.schema, info.name), info);
    }
    createType(info) {
        this.#types.set(canonical(info.schema, info.name), info);
    }
    drop(schema, name) {
        this.#relations.set(canonical(schema, name), undefined);
    }
    setSchema(schema, exists) {
        this.#schemas.set(schema, exists);
    }
}
/** A relation that exists only in this string so far. */
export function provisional(schema, name, kind, columns, extra = {}) {
    const list = columns.map((column, index) => ({ name: column, number: index + 1 }));
    return { oid: 0, schema, name, kind, columns: list, children: [], parents: [], triggers: [], cascades: [], hasRules: false, ...extra };
}
//# sourceMappingURL=overlay.js.map