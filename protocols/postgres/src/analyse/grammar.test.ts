import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isExpressionKind, typeFields } from './expressions.js'
import { statements } from './statements.js'

/** Every node of the grammar, out of the type definitions that libpg-query is published with. */
const require = createRequire(import.meta.url)
const types = readFileSync(join(dirname(createRequire(require.resolve('libpg-query')).resolve('@pgsql/types')), 'types.d.ts'), 'utf8')
const union = types.slice(types.indexOf('export type Node ='), types.indexOf('export interface'))
const kinds = [...union.matchAll(/^ {4}(\w+): \w+;$/gm)].map((match) => match[1] ?? '')

/** Nodes that the parser never gives: they are made by parse analysis, the planner, or are not statements at all. */
const neverParsed = new Set(
  `ParseResult ScanResult OidList IntList TableFunc Var Param Aggref WindowFunc WindowFuncRunCondition SubscriptingRef FuncExpr OpExpr
  DistinctExpr NullIfExpr ScalarArrayOpExpr SubPlan AlternativeSubPlan FieldSelect FieldStore RelabelType CoerceViaIO ArrayCoerceExpr
  ConvertRowtypeExpr CollateExpr CaseTestExpr ArrayExpr RowCompareExpr JsonConstructorExpr JsonExpr JsonTablePath JsonTablePathScan
  JsonTableSiblingJoin MergeAction CoerceToDomain CoerceToDomainValue NextValueExpr InferenceElem ReturningExpr TargetEntry RangeTblRef
  FromExpr OnConflictExpr Query RangeTblEntry RTEPermissionInfo RangeTblFunction TableSampleClause WithCheckOption SortGroupClause
  WindowClause RowMarkClause SetOperationStmt InlineCodeBlock CallContext ScanToken SummaryResult Table Function FilterColumn RawStmt
  PLAssignStmt ReturnStmt`.split(/\s+/),
)

/** Nodes that a statement's handler reads itself, by name. */
const readByHandlers = new Set(
  `Alias IntoClause A_Star RangeSubselect RangeFunction RangeTableFunc RangeTableSample JoinExpr LockingClause WithClause
  OnConflictClause CTESearchClause CTECycleClause CommonTableExpr MergeWhenClause ReturningOption ReturningClause TriggerTransition
  JsonTable AccessPriv CreateOpClassItem FunctionParameter VacuumRelation PublicationTable PublicationObjSpec`.split(/\s+/),
)

describe('the grammar is covered', () => {
  it('has the nodes of PostgreSQL 18', () => {
    expect(kinds.length).toBeGreaterThan(260)
  })

  it.each(kinds)('%s is known', (kind) => {
    const known = kind in statements || isExpressionKind(kind) || neverParsed.has(kind) || readByHandlers.has(kind)
    expect(known).toBe(true)
  })

  it('has a handler for every statement', () => {
    const unhandled = kinds.filter((kind) => kind.endsWith('Stmt') && !neverParsed.has(kind) && !(kind in statements))
    // A table's definition inside ALTER TABLE … REPLICA IDENTITY, not a statement.
    expect(unhandled).toEqual(['ReplicaIdentityStmt'])
  })

  it('knows every field that holds a type name', () => {
    const fields = new Set([...types.matchAll(/^ {4}(\w+)\?: TypeName;$/gm)].map((match) => match[1] ?? ''))
    expect([...fields].filter((field) => !typeFields.has(field))).toEqual([])
  })
})
