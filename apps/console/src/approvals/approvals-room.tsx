import { Anchor, Badge, Card, Code, Grid, Group, Kbd, SegmentedControl, Stack, Text, Title } from '@mantine/core'
import { useHotkeys } from '@mantine/hooks'
import { given, ok } from '@sallyport/api-client'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState, type ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { api, type Approval, type WhoAmI } from '../api.js'
import { relative } from '../format.js'
import { Empty, Failure, Loading } from '../shell/message.js'
import { ApprovalCard } from './approval-card.js'
import { toneOf } from './tone.js'
import { useNow } from './use-now.js'

/** What waits, live, and the one that is looked at. */
export function ApprovalsRoom({ id, me }: { readonly id: string | undefined; readonly me: WhoAmI }): ReactNode {
  const [shown, setShown] = useState<'pending' | 'all'>('pending')
  const [, go] = useLocation()
  useChanges()
  const list = useQuery({
    queryKey: ['approvals', shown],
    queryFn: () => ok(api.GET('/v1/approvals', { params: { query: given({ state: shown === 'pending' ? ('pending' as const) : undefined, limit: 100 }) } })),
  })
  const items = list.data?.items ?? []
  const at = items.findIndex((item) => item.id === id)
  const move = (by: number): void => {
    const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + by))]
    if (next) go(`/approvals/${next.id}`)
  }
  useHotkeys([['j', () => move(1)], ['k', () => move(-1)]])
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1} size="h2">Approvals</Title>
        <SegmentedControl
          aria-label="Which approvals"
          value={shown}
          onChange={(value) => setShown(value === 'all' ? 'all' : 'pending')}
          data={[{ value: 'pending', label: 'Waiting' }, { value: 'all', label: 'All' }]}
        />
      </Group>
      {list.error ? <Failure error={list.error} /> : undefined}
      {list.isPending ? <Loading /> : undefined}
      {list.data && items.length === 0 && id === undefined ? (
        <Empty title="Nothing waits for you.">
          A command waits here when a policy holds it for a group that you are in. Try it: <Code>sallyport exec orders-db -- psql -c "delete from order_items where order_id = 7"</Code>
        </Empty>
      ) : undefined}
      {items.length > 0 || id !== undefined ? (
        <Grid gap="md">
          <Grid.Col span={{ base: 12, md: 4 }} {...(id === undefined ? {} : { visibleFrom: 'md' as const })}>
            <Card withBorder p={0} component="section" aria-label="List">
              {items.map((item) => <Row key={item.id} item={item} isCurrent={item.id === id} open={() => go(`/approvals/${item.id}`)} />)}
              {items.length === 0 ? <Text p="md" c="dimmed">Nothing else waits.</Text> : undefined}
            </Card>
            <Text size="xs" c="dimmed" mt="xs" visibleFrom="md">
              <Kbd size="xs">j</Kbd> <Kbd size="xs">k</Kbd> next, previous · <Kbd size="xs">a</Kbd> approve · <Kbd size="xs">r</Kbd> reject
            </Text>
          </Grid.Col>
          <Grid.Col span={{ base: 12, md: 8 }}>
            {id === undefined ? (
              <Text c="dimmed" p="md" visibleFrom="md">Choose one to see what it would do.</Text>
            ) : (
              <Stack gap="xs">
                <Anchor component={Link} href="/approvals" size="sm" hiddenFrom="md">All that wait</Anchor>
                <ApprovalCard key={id} id={id} me={me} />
              </Stack>
            )}
          </Grid.Col>
        </Grid>
      ) : undefined}
    </Stack>
  )
}

function Row({ item, isCurrent, open }: { readonly item: Approval; readonly isCurrent: boolean; readonly open: () => void }): ReactNode {
  const now = useNow()
  return (
    <button type="button" className="row" aria-current={isCurrent} onClick={open}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text fw={600} size="sm" className="one-line">
          {item.identity.name} → {item.target}
        </Text>
        <Badge variant="light" color={toneOf(item.state)} style={{ flexShrink: 0 }}>{item.state}</Badge>
      </Group>
      <Text size="sm" ff="monospace" className="one-line">{item.text_visible.split('\n', 1)[0]}</Text>
      <Text size="xs" c="dimmed">
        asked {relative(item.created_at, now)}
        {item.state === 'pending' ? ` · expires ${relative(item.expires_at, now)}` : ''}
      </Text>
    </button>
  )
}

/** Every change that this user may see, as it happens. */
function useChanges(): void {
  const queries = useQueryClient()
  useEffect(() => {
    const source = new EventSource('/v1/approvals/stream')
    source.addEventListener('approval', () => {
      void queries.invalidateQueries({ queryKey: ['approvals'] })
      void queries.invalidateQueries({ queryKey: ['approval'] })
    })
    // The stream ends with the sign-in: whoami says so.
    source.addEventListener('end', () => void queries.invalidateQueries({ queryKey: ['whoami'] }))
    source.addEventListener('open', () => void queries.invalidateQueries({ queryKey: ['approvals'] }))
    return () => source.close()
  }, [queries])
}
