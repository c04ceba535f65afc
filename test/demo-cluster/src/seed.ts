import type { JsonObject } from './json.js'
import { kindNamed, now, type Store } from './store.js'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** What the demo shows: made up, and of a kind that leaks in real clusters. */
export function seed(store: Store): void {
  const make = (resource: string, namespace: string, object: JsonObject): JsonObject => store.create(kindNamed(resource), namespace, object, false)
  for (const name of ['default', 'kube-system', 'shop', 'prod']) make('namespaces', '', { metadata: { name } })
  for (const name of ['node-1', 'node-2']) make('nodes', '', { metadata: { name, labels: { 'kubernetes.io/hostname': name } }, spec: {}, status: { conditions: [{ type: 'Ready', status: 'True' }] } })
  make('secrets', 'shop', { metadata: { name: 'db-credentials' }, type: 'Opaque', data: { username: base64('orders'), password: base64('correct-horse-battery-staple') } })
  make('secrets', 'prod', { metadata: { name: 'payment-keys' }, type: 'Opaque', data: { api_key: base64('prod-key-0000-1111-2222') } })
  make('configmaps', 'shop', { metadata: { name: 'shop-config' }, data: { LOG_LEVEL: 'info', DATABASE_PASSWORD: 'hunter2-in-a-configmap', SUPPORT_CONTACT: 'carol.jones@example.com' } })
  make('serviceaccounts', 'shop', { metadata: { name: 'shop' } })
  for (const [name, replicas] of [['api', 2], ['worker', 1]] as const) {
    make('deployments', 'shop', {
      metadata: { name, labels: { app: name } },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: { serviceAccountName: 'shop', containers: [{ name, image: `registry.example.com/shop/${name}:1.4.2`, env: [{ name: 'LOG_LEVEL', value: 'info' }, { name: 'DB_PASSWORD', value: 'hunter2-in-the-environment' }] }] },
        },
      },
    })
  }
  make('services', 'shop', { metadata: { name: 'api' }, spec: { selector: { app: 'api' }, ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }] } })
  make('pods', 'prod', { metadata: { name: 'payments-0', labels: { app: 'payments' } }, spec: { containers: [{ name: 'payments', image: 'registry.example.com/payments:9' }] } })
  make('events', 'shop', {
    metadata: { name: 'api.started' }, type: 'Normal', reason: 'Started', message: 'Started container api', lastTimestamp: now(), firstTimestamp: now(), count: 1,
    involvedObject: { kind: 'Deployment', namespace: 'shop', name: 'api' }, source: { component: 'kubelet' },
  })
}

/** What a container has written so far. */
export function seedLog(container: string): string[] {
  return [
    `starting ${container} 1.4.2`,
    'connected to orders-db as orders',
    'GET /orders 200 12ms',
    'sent receipt to alice.smith@example.com',
    'charged card 4111 1111 1111 1111 for order 7',
    'GET /orders/7 200 4ms',
  ]
}
