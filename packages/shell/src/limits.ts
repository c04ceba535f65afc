/** Characters of one text; the command line of a person or a job is shorter by far. */
export const maxText = 64 * 1024

/** Characters parsed for one analysis, texts inside of texts and both grammars counted. */
export const maxWork = 4 * maxText

/** `sh -c "sh -c …"`: each level of a shell that isn't known is read twice. */
export const maxShells = 5

/** Wrappers around wrappers. */
export const maxWrappers = 32

/** Brackets, backquotes and keywords that open something: the parser recurses on them. */
export const maxOpeners = 500

/** Simple commands of one analysis. */
export const maxCommands = 2000

/** Words and operators of one text: parsing and walking takes about 50 µs for each, in both grammars. */
export const maxTokens = 5000
