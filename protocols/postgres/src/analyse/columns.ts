import { as, items, kindOf, strings, type Node } from './ast.js'

/** The name that the server gives an output column without an alias (FigureColname in parse_target.c). */
export function columnName(node: Node | undefined): string {
  return figure(node).name ?? '?column?'
}

interface Figured {
  readonly name?: string
  /** 0: no name, 1: a weak one (a cast's type, CASE), 2: a good one. */
  readonly strength: 0 | 1 | 2
}

const nameless: Figured = { strength: 0 }
const good = (name: string): Figured => ({ name, strength: 2 })

/** Nodes named after what they are. */
const fixed: Readonly<Record<string, string>> = {
  GroupingFunc: 'grouping', MergeSupportFunc: 'merge_action', A_ArrayExpr: 'array', RowExpr: 'row', CoalesceExpr: 'coalesce',
  XmlSerialize: 'xmlserialize',
  JsonParseExpr: 'json', JsonScalarExpr: 'json_scalar', JsonSerializeExpr: 'json_serialize', JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array', JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg', JsonArrayAgg: 'json_arrayagg',
}

const xmlNames: Readonly<Record<string, string>> = {
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
}

const jsonNames: Readonly<Record<string, string>> = {
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
}

function figure(node: Node | undefined): Figured {
  if (node === undefined) return nameless
  const kind = kindOf(node)
  const known = fixed[kind]
  if (known !== undefined) return good(known)
  switch (kind) {
    case 'ColumnRef':
      return lastName(as(node, 'ColumnRef')?.fields)
    case 'A_Indirection': {
      const indirection = as(node, 'A_Indirection')
      const own = lastName(indirection?.indirection)
      return own.strength > 0 ? own : figure(indirection?.arg)
    }
    case 'FuncCall':
      return lastName(as(node, 'FuncCall')?.funcname)
    case 'A_Expr':
      return as(node, 'A_Expr')?.kind === 'AEXPR_NULLIF' ? good('nullif') : nameless
    case 'TypeCast': {
      const cast = as(node, 'TypeCast')
      const inner = figure(cast?.arg)
      const name = strings(cast?.typeName?.names).at(-1)
      return inner.strength > 1 || name === undefined ? inner : { name, strength: 1 }
    }
    case 'CollateClause':
      return figure(as(node, 'CollateClause')?.arg)
    case 'CaseExpr': {
      const inner = figure(as(node, 'CaseExpr')?.defresult)
      return inner.strength > 1 ? inner : { name: 'case', strength: 1 }
    }
    case 'SubLink':
      return figureSubLink(node)
    case 'MinMaxExpr':
      return good(as(node, 'MinMaxExpr')?.op === 'IS_LEAST' ? 'least' : 'greatest')
    case 'SQLValueFunction':
      return good((as(node, 'SQLValueFunction')?.op ?? '').replace(/^SVFOP_/, '').replace(/_N$/, '').toLowerCase())
    case 'XmlExpr': {
      const name = xmlNames[as(node, 'XmlExpr')?.op ?? '']
      return name === undefined ? nameless : good(name)
    }
    case 'JsonFuncExpr': {
      const name = jsonNames[as(node, 'JsonFuncExpr')?.op ?? '']
      return name === undefined ? nameless : good(name)
    }
    default:
      return nameless
  }
}

function lastName(nodes: readonly Node[] | undefined): Figured {
  const name = strings(nodes).at(-1)
  return name === undefined ? nameless : good(name)
}

function figureSubLink(node: Node): Figured {
  const link = as(node, 'SubLink')
  if (link?.subLinkType === 'EXISTS_SUBLINK') return good('exists')
  if (link?.subLinkType === 'ARRAY_SUBLINK') return good('array')
  if (link?.subLinkType !== 'EXPR_SUBLINK') return nameless
  const target = as(as(link.subselect, 'SelectStmt')?.targetList?.[0], 'ResTarget')
  if (!target) return nameless
  return target.name === undefined ? figure(target.val) : good(target.name)
}

/** Names in an alias's or CTE's column list, and in lists of lists. */
export function listNames(node: Node | undefined): string[] {
  return strings(items(node))
}
