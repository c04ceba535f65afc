/** The text can't be analysed; the statement is denied with this. */
export class AnalysisError extends Error {
    code;
    hint;
    position;
    name = 'AnalysisError';
    constructor(
    /** `unparsable`, `unresolved`, `too_large`, `too_complex`, `guarded_setting`. */
    code, message, hint, 
    /** 1-based character position for the client, when known. */
    position) {
        super(message);
        this.code = code;
        this.hint = hint;
        this.position = position;
    }
}
//# sourceMappingURL=types.js.map