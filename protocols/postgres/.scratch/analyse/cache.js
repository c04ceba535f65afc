/** What an entry costs besides its text: the analysis, two map slots. Measured on ordinary statements, rounded up. */
const overheadBytes = 2048;
/**
 * Analyses by text, least recently used first out, bounded in bytes. One level by catalog and name context, one by text: a hit is
 * two look-ups and allocates nothing. What looks at prepared statements or cursors is not kept, for those change under the same text.
 */
export class AnalysisCache {
    #maxBytes;
    #byNames = new Map();
    #generations = new WeakMap();
    #generation = 0;
    #bytes = 0;
    #lastKey = '';
    #lastCatalog;
    #lastClean;
    #last;
    /** @param maxBytes estimate of memory held */
    constructor(maxBytes) {
        this.#maxBytes = maxBytes;
    }
    /** Bytes held, as estimated. */
    get bytes() {
        return this.#bytes;
    }
    /**
     * The analysis from the cache, or a new one.
     * @param key tells name contexts apart: equal keys must mean equal search path, role, database and temporary relations
     * @throws {AnalysisError} what `analyse` throws; failures aren't kept
     */
    analyse(text, catalog, names, key, analyse) {
        const level = this.#level(catalog, names, key);
        const hit = level.get(text);
        if (hit) {
            // Moving every hit to the end would cost two writes; a hit moves only when the map has grown since.
            if (this.#bytes * 2 > this.#maxBytes) {
                level.delete(text);
                level.set(text, hit);
            }
            return hit.analysis;
        }
        const analysis = analyse(text, catalog, names);
        if (keepable(analysis))
            this.#put(level, text, analysis);
        return analysis;
    }
    #level(catalog, names, key) {
        if (this.#last && this.#lastCatalog === catalog && this.#lastKey === key && this.#lastClean === names.transactionClean)
            return this.#last;
        let generation = this.#generations.get(catalog);
        if (generation === undefined)
            this.#generations.set(catalog, (generation = ++this.#generation));
        const full = `${String(generation)}\0${names.transactionClean === true ? 'c' : ''}\0${key}`;
        let level = this.#byNames.get(full);
        if (level)
            this.#byNames.delete(full);
        else
            level = new Map();
        this.#byNames.set(full, level);
        this.#last = level;
        this.#lastKey = key;
        this.#lastCatalog = catalog;
        this.#lastClean = names.transactionClean;
        return level;
    }
    #put(level, text, analysis) {
        const bytes = text.length * 4 + overheadBytes * Math.max(1, analysis.statements.length);
        if (bytes * 8 > this.#maxBytes)
            return;
        level.set(text, { analysis, bytes });
        this.#bytes += bytes;
        while (this.#bytes > this.#maxBytes && this.#evict(level))
            continue;
    }
    /** Removes the oldest entry of the level used longest ago. */
    #evict(current) {
        for (const [key, level] of this.#byNames) {
            for (const [text, entry] of level) {
                level.delete(text);
                this.#bytes -= entry.bytes;
                return true;
            }
            if (level !== current)
                this.#byNames.delete(key);
        }
        return false;
    }
}
const stateful = new Set(['ExecuteStmt', 'FetchStmt', 'PrepareStmt', 'DeclareCursorStmt', 'ExplainStmt', 'CreateTableAsStmt']);
function keepable(analysis) {
    return analysis.statements.every((statement) => !stateful.has(statement.node));
}
//# sourceMappingURL=cache.js.map