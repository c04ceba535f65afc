import { Button, Card, Center, Code, Stack, Text, Title } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { api } from '../api.js'
import { Failure } from './message.js'

/** Leads to the identity provider and back to this very page. */
export function SignIn(): ReactNode {
  const { data, error } = useQuery({ queryKey: ['providers'], queryFn: () => ok(api.GET('/v1/auth/providers')) })
  const back = encodeURIComponent(location.pathname + location.search)
  return (
    <Center mih="100vh" p="md" component="main">
      <Card withBorder padding="xl" w="100%" maw="30rem" shadow="sm">
        <Stack gap="lg">
          <div>
            <Title order={1} size="h2">Sallyport</Title>
            <Text c="dimmed">Access, decided command by command.</Text>
          </div>
          {error ? <Failure error={error} /> : undefined}
          <Stack gap="sm">
            {data?.items.map(({ name, display_name: title }) => (
              <Button key={name} component="a" size="md" href={`/auth/signin/${encodeURIComponent(name)}?return=${back}`}>
                Sign in with {title}
              </Button>
            ))}
          </Stack>
          {data?.items.length === 0 ? (
            <Text c="dimmed" size="sm">
              No identity provider lets people sign in yet. An administrator adds <Code>signIn</Code> to an IdentityProvider document: docs/identities.md.
            </Text>
          ) : undefined}
        </Stack>
      </Card>
    </Center>
  )
}
