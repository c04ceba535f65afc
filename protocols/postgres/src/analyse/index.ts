/**
 * PostgreSQL's analyser: a query string becomes effects, lineage and changes of the session, by PostgreSQL's own grammar.
 */
export * from './types.js'
export { analyse, defaultMaxBytes, loadAnalyser, type AnalyseOptions } from './analyse.js'
export { AnalysisCache } from './cache.js'
export { offlineCatalog, offlineNames, parseCatalogRows, parseSessionRow, SnapshotCatalog, type CatalogContent } from './catalog.js'
export { catalogQueries, sessionQuery } from './catalog-query.js'
export { sqlActions } from './actions.js'
export { postgresDescriptor } from './descriptor.js'
export { canonical, quoteIdent } from './quote.js'
export { sameMeaning } from './prepared.js'
