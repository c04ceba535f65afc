import { EffectSet } from './effects.js';
import { quoteIdent } from './quote.js';
import { AnalysisError } from './types.js';
/** Nesting that the walk follows. Beyond it the JavaScript stack is at risk; the server's own limit is near. */
const maxDepth = 700;
/** Steps over nodes and columns per query string: bounds views of views of wide tables, chains of CTEs that double. */
const maxWork = 2_000_000;
/** State while one statement is analysed. */
export class Walk {
    names;
    text;
    budget;
    effects = new EffectSet();
    reads = new Set();
    predicates = new Set();
    changes = [];
    /** Values that the statement stores. */
    stores = [];
    /** The search path that SET LOCAL sets for the rest of the string. */
    localPath;
    /** Above 0 while in WHERE, JOIN, GROUP BY, ORDER BY and the like: columns read there steer the result without being in it. */
    predicate = 0;
    /** Column references so far; tells whether a WHERE looks at any. */
    columnsSeen = 0;
    /** Views being looked through, innermost last. */
    views;
    /** A user function that may change settings or objects is called. */
    callsVolatile = false;
    #assumed = new Map();
    #depth = 0;
    constructor(names, text, budget, views = []) {
        this.names = names;
        this.text = text;
        this.budget = budget;
        this.views = views;
    }
    /** A walk over a part of the same statement under other names. */
    withNames(names) {
        return new Walk(names, this.text, this.budget, this.views);
    }
    /** One level deeper; pair with {@link leave}. */
    enter() {
        this.budget.work++;
        if (++this.#depth > maxDepth)
            throw tooComplex('is nested too deeply');
    }
    leave() {
        this.#depth--;
    }
    charge(steps) {
        this.budget.work += steps;
        if (this.budget.work > maxWork)
            throw tooComplex('expands to too many columns');
    }
    /** Notes that a value's columns are read. */
    read(value) {
        this.columnsSeen++;
        for (const source of value.sources) {
            this.reads.add(source);
            if (this.predicate > 0)
                this.predicates.add(source);
        }
        return value;
    }
    /** A column of a relation whose columns aren't known, or a system column. */
    assumedColumn(resource, name) {
        const column = name === '*' ? '*' : quoteIdent(name);
        const full = `${resource}.${column}`;
        let known = this.#assumed.get(full);
        if (!known) {
            known = { table: resource, column, full };
            this.#assumed.set(full, known);
        }
        return known;
    }
    /** A column out of its full name, as an earlier analysis wrote it. */
    namedColumn(full) {
        let known = this.#assumed.get(full);
        if (!known) {
            const { table, column } = splitColumn(full);
            known = { table, column, full };
            this.#assumed.set(full, known);
        }
        return known;
    }
    /** An error with the character position of a node; without one in a view's or a prepared statement's own text. */
    unresolved(message, hint, location) {
        const known = location !== undefined && location >= 0 && this.text !== '';
        return new AnalysisError('unresolved', message, hint, known ? characterAt(this.text, location) : undefined);
    }
    /** The effects, with the columns that were read of each resource. */
    finish() {
        const read = byTable(this.reads);
        const predicates = this.predicates.size === 0 ? undefined : byTable(this.predicates);
        return this.effects.finish((resource) => {
            const columns = read.get(resource);
            return columns && { read: columns, predicates: predicates?.get(resource) ?? [] };
        });
    }
}
function splitColumn(full) {
    // The last dot outside quotes.
    const match = /^(.*)\.((?:"(?:[^"]|"")*")|[^".]*)$/s.exec(full);
    return { table: match?.[1] ?? full, column: match?.[2] ?? '*' };
}
function byTable(columns) {
    const out = new Map();
    for (const column of columns) {
        const list = out.get(column.table);
        if (list)
            list.push(column.column);
        else
            out.set(column.table, [column.column]);
    }
    return out;
}
export function tooComplex(what) {
    return new AnalysisError('too_complex', `the statement ${what} to be analysed`, 'Split it into smaller statements, or use a list (IN, VALUES) instead of a chain.');
}
function characterAt(text, byte) {
    return [...Buffer.from(text, 'utf8').subarray(0, byte).toString('utf8')].length + 1;
}
//# sourceMappingURL=walk.js.map