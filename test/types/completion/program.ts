// The editor of completion.test.ts shows other texts under this name.
export {};
