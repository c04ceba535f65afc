import { SnapshotCatalog } from '../catalog.js'
import type { Catalog, FunctionInfo, NameContext, Relation } from '../types.js'

/** The demo's shop as a catalog, with one of everything that the analyser has to know about. */
let oid = 16_000

function table(name: string, columns: string, extra: Partial<Relation> = {}): Relation {
  const dot = name.indexOf('.')
  const schema = dot < 0 ? 'public' : name.slice(0, dot)
  const list = columns.split(' ').filter((column) => column !== '').map((column, index) => ({ name: column, number: index + 1 }))
  return {
    oid: ++oid, schema, name: dot < 0 ? name : name.slice(dot + 1), kind: 'table', columns: list,
    children: [], parents: [], triggers: [], cascades: [], hasRules: false, ...extra,
  }
}

const fn = (schema: string, name: string, volatile: FunctionInfo['volatile']): FunctionInfo => ({
  schema,
  name,
  volatile,
  returnsSet: false,
})

const relations: readonly Relation[] = [
  table('customers', 'id name email phone ssn card_number notes', {
    cascades: [{ table: 'public.orders', on: 'delete', action: 'delete' }],
    referencedBy: ['public.orders'],
  }),
  table('orders', 'id customer_id total status created', {
    cascades: [{ table: 'public.order_items', on: 'delete', action: 'delete' }],
    referencedBy: ['public.order_items'],
    triggers: [{ function: 'public.audit', events: ['update'] }],
  }),
  table('order_items', 'id order_id sku qty'),
  table('api_keys', 'id owner secret'),
  table('app.customers', 'id email city'),
  table('Weird Name', 'Select'),
  table('v_customers', 'id mail name', {
    kind: 'view',
    definition: ' SELECT id,\n    upper(email) AS mail,\n    name\n   FROM customers\n  WHERE ssn IS NOT NULL;',
  }),
  table('v_outer', 'm', { kind: 'view', definition: ' SELECT mail AS m FROM v_customers;' }),
  table('v_loop', 'x', { kind: 'view', definition: ' SELECT x FROM v_loop;' }),
  table('mv_emails', 'email', { kind: 'matview', definition: ' SELECT email FROM customers;' }),
  table('events', 'at payload actor', { kind: 'partitioned', children: ['public.events_2024'] }),
  table('events_2024', 'at payload actor', { parents: ['public.events'] }),
  table('ruled', 'id', { hasRules: true }),
  { ...table('contacts', 'id'), columns: [{ name: 'id', number: 1 }, { name: 'email', number: 2, calls: ['public.chk'] }] },
  table('seq1', 'last_value log_cnt is_called', { kind: 'sequence' }),
  table('pgbench_accounts', 'aid bid abalance filler'),
  table('pg_catalog.pg_class', 'oid relname relnamespace relkind'),
  table('pg_catalog.pg_namespace', 'oid nspname'),
  table('pg_catalog.pg_authid', 'oid rolname rolpassword'),
  table('pg_catalog.pg_stat_activity', 'datid pid query'),
  table('information_schema.tables', 'table_schema table_name', { kind: 'view' }),
]

export const shop: Catalog = new SnapshotCatalog({
  definitionPath: ['public'],
  schemas: ['public', 'app', 'pg_catalog', 'information_schema'],
  relations,
  functions: [
    fn('public', 'get_secret', 's'), fn('public', 'pure', 'i'), fn('public', 'evil', 'v'), fn('public', 'evil_row', 'v'),
    fn('public', 'audit', 'v'), fn('public', 'chk', 'i'), fn('public', 'op_f', 'v'), fn('app', 'lower', 'v'), fn('public', 'dblink', 'v'),
  ],
  operators: [{ schema: 'public', name: '===', function: 'public.op_f' }],
  types: [
    { schema: 'public', name: 'mail', kind: 'domain', calls: ['public.chk'] },
    { schema: 'public', name: 'pair', kind: 'composite', calls: [] },
  ],
})

export const shopNames: NameContext = {
  searchPath: ['public'],
  currentUser: 'shop',
  database: 'shop',
  prepared: new Map(),
  cursors: new Map(),
}

