import { canonical, quoteIdent } from './quote.js';
import { guardedFunctions } from './guarded-functions.js';
import { harmlessFunctions, harmlessInformationSchemaFunctions } from './harmless-functions.js';
import { isCatalogName } from './system-catalogs.js';
import { AnalysisError } from './types.js';
/**
 * Name resolution as the server does it (namespace.c): relations look into pg_temp and pg_catalog first unless the search path
 * lists them, functions and operators never into pg_temp, creation goes to the first schema of the path.
 */
export class Names {
    catalog;
    context;
    searchPath;
    undecided;
    #relationPath;
    #objectPath;
    constructor(catalog, context, searchPath = context.searchPath, 
    /** False for the definition of a view: the server prints a name that a temporary relation hides with its schema. */
    implicitTemp = true, 
    /** Set when an earlier statement of the same string made names uncertain: those without a schema, or all. */
    undecided) {
        this.catalog = catalog;
        this.context = context;
        this.searchPath = searchPath;
        this.undecided = undecided;
        const explicit = searchPath;
        const implied = explicit.includes('pg_catalog') ? explicit : ['pg_catalog', ...explicit];
        this.#relationPath = !implicitTemp || explicit.some((schema) => this.#isTemp(schema)) ? implied : ['pg_temp', ...implied];
        this.#objectPath = implied.filter((schema) => !this.#isTemp(schema));
    }
    withPath(searchPath) {
        return new Names(this.catalog, this.context, searchPath, true, this.undecided?.scope === 'all' ? this.undecided : undefined);
    }
    withUndecided(undecided) {
        return this.undecided?.scope === 'all' ? this : new Names(this.catalog, this.context, this.searchPath, true, undecided);
    }
    #decided(schema) {
        if (this.undecided === undefined || (this.undecided.scope === 'path' && schema !== undefined))
            return;
        throw new AnalysisError('unresolved', `what names mean here can't be told before an earlier statement of the same text has run: ${this.undecided.why}`, 'Send the statements separately.');
    }
    #isTemp(schema) {
        return schema === 'pg_temp' || (this.context.tempSchema !== undefined && schema === this.context.tempSchema);
    }
    /** Where an object without a schema is created. */
    creationSchema() {
        this.#decided(undefined);
        const schema = this.searchPath.find((name) => name !== '');
        if (schema === undefined) {
            throw new AnalysisError('unresolved', 'no schema has been selected to create in', 'Name the schema, or SET search_path in a statement of its own first.');
        }
        return this.#isTemp(schema) ? 'pg_temp' : schema;
    }
    /** The relation, or undefined when a complete catalog has none of this name. */
    relation(name) {
        this.#checkCatalog(name);
        this.#decided(name.schema);
        if (name.schema !== undefined)
            return this.#lookup(name.schema, name.name) ?? (this.catalog.complete ? undefined : this.assumed(name.schema, name.name));
        for (const schema of this.#relationPath) {
            const found = this.#lookup(schema, name.name);
            if (found)
                return found;
        }
        if (this.catalog.complete)
            return undefined;
        if (isCatalogName(name.name))
            return this.assumed('pg_catalog', name.name);
        return this.assumed(this.searchPath.find((schema) => !this.#isTemp(schema) && schema !== 'pg_catalog') ?? 'public', name.name);
    }
    /** A relation that need not exist: where it would be. */
    assumed(schema, name) {
        const temporary = this.#isTemp(schema);
        const shown = temporary ? 'pg_temp' : schema;
        return { schema: shown, name, resource: canonical(shown, name), temporary };
    }
    /** Where CREATE puts a relation. */
    target(name, temporary) {
        this.#checkCatalog(name);
        return this.assumed(name.schema ?? (temporary ? 'pg_temp' : this.creationSchema()), name.name);
    }
    #lookup(schema, name) {
        if (this.#isTemp(schema)) {
            const relation = this.catalog.relation('pg_temp', name);
            return relation && { schema: 'pg_temp', name, resource: canonical('pg_temp', name), relation, temporary: true };
        }
        const relation = this.catalog.relation(schema, name);
        return relation && { schema, name, resource: canonical(schema, name), relation, temporary: false };
    }
    #checkCatalog(name) {
        if (name.catalog === undefined || name.catalog === this.context.database || (!this.catalog.complete && this.context.database === ''))
            return;
        throw new AnalysisError('unresolved', `cross-database references are not possible: "${name.catalog}"`, 'Leave the database name out of the name.');
    }
    /**
     * Every function that a call may mean. The server picks among all schemas of the path by argument types, which aren't known
     * here: so each candidate counts.
     */
    function(name) {
        if (name.schema !== 'pg_catalog')
            this.#decided(name.schema);
        if (name.schema !== undefined)
            return this.#functionIn(this.#isTemp(name.schema) ? (this.context.tempSchema ?? 'pg_temp') : name.schema, name.name);
        const builtin = builtinKind(name.name);
        let user;
        for (const schema of this.#objectPath) {
            if (schema === 'pg_catalog')
                continue;
            const found = this.catalog.functions(schema, name.name);
            if (found.length > 0)
                (user ??= []).push(...found);
        }
        if (builtin !== undefined || user)
            return { builtin, user: user ?? none };
        return { builtin: undefined, user: none, missing: canonical(this.#objectPath.find((schema) => schema !== 'pg_catalog') ?? 'pg_catalog', name.name) };
    }
    #functionIn(schema, name) {
        if (schema === 'pg_catalog') {
            const builtin = builtinKind(name);
            return builtin === undefined ? { builtin, user: none, missing: canonical(schema, name) } : { builtin, user: none };
        }
        if (schema === 'information_schema' && harmlessInformationSchemaFunctions.has(name))
            return { builtin: 'harmless', user: none };
        const user = this.catalog.functions(schema, name);
        return user.length > 0 ? { builtin: undefined, user } : { builtin: undefined, user: none, missing: canonical(schema, name) };
    }
    /** User-defined operators that the name may mean. */
    operators(name) {
        const found = this.catalog.operators(name.name);
        if (found.length === 0)
            return found;
        this.#decided(name.schema);
        return found.filter((operator) => (name.schema === undefined ? this.#objectPath.includes(operator.schema) : operator.schema === name.schema));
    }
    /** The user-defined type of this name, if it is one. */
    type(name) {
        if (name.schema === 'pg_catalog')
            return undefined;
        this.#decided(name.schema);
        if (name.schema !== undefined)
            return this.catalog.type(name.schema, name.name);
        for (const schema of this.#objectPath) {
            const found = this.catalog.type(schema, name.name);
            if (found)
                return found;
        }
        return undefined;
    }
    /** Searched schemas, for messages. */
    describePath() {
        return this.searchPath.length === 0 ? 'an empty search_path' : `search_path ${this.searchPath.map(quoteIdent).join(', ')}`;
    }
}
const none = [];
function builtinKind(name) {
    return harmlessFunctions.has(name) ? 'harmless' : guardedFunctions.has(name) ? 'guarded' : undefined;
}
//# sourceMappingURL=names.js.map