import { expect, test } from 'vitest';
import { postgresHostUrls } from './postgres-url.ts';

test('one host stays as it is written', () => {
  for (const url of ['postgres://u:p%40x@db.example:5433/name?sslmode=verify-full', 'postgresql:///name?host=/run/pg'])
    expect(postgresHostUrls(url)).toEqual([url]);
});

test('several hosts, each with its own port, in their order', () => {
  expect(
    postgresHostUrls('postgres://u:p,w@one:5432,[::1]:5433,three/name?target_session_attrs=read-write&sslmode=require'),
  ).toEqual([
    'postgres://u:p,w@one:5432/name?target_session_attrs=read-write&sslmode=require',
    'postgres://u:p,w@[::1]:5433/name?target_session_attrs=read-write&sslmode=require',
    'postgres://u:p,w@three/name?target_session_attrs=read-write&sslmode=require',
  ]);
  const sockets = postgresHostUrls('postgres://u@localhost/name?host=/run/a,/run/b&port=1,2') ?? [];
  expect(sockets.map((url) => [...new URL(url).searchParams.values()])).toEqual([
    ['/run/a', '1'],
    ['/run/b', '2'],
  ]);
});

test('what is no such URL, or asks for a server that takes no writes', () => {
  const urls = [
    'mysql://h/name',
    'postgres://h:1:2/name',
    'postgres://h1,h:x/name',
    'postgres://h1,h2/name?target_session_attrs=standby',
    'postgres://h1/name?target_session_attrs=any',
    'postgres://localhost/name?host=/a,/b,/c&port=1,2',
  ];
  expect(urls.filter((url) => postgresHostUrls(url) !== undefined)).toEqual([]);
});
