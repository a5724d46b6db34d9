export * from './actions.ts';
export * from './errors.ts';
export * from './names.ts';
export * from './reference.ts';
export * from './roles.ts';
export * from './route.ts';
export { routes } from './routes/index.ts';
