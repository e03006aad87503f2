%% The Erlang side of `ops/bench actors`: the same exchange as Actors/Main.swift, over TLS distribution on loopback.
-module(actors).
-behaviour(gen_server).
-export([serve/0, call/1, init/1, handle_call/3, handle_cast/2]).

serve() ->
    {ok, _} = gen_server:start({local, adder}, ?MODULE, [], []),
    receive stop -> ok end.

init([]) -> {ok, none}.
handle_call({add, Number, Text}, _From, State) -> {reply, {answer, Number + 1, Text}, State}.
handle_cast(_, State) -> {noreply, State}.

call([Server, Seconds]) ->
    Node = list_to_atom(Server),
    pong = wait(Node, 100),
    Text = <<"R_0123456789abcd">>,
    {ok, _} = gen_server:start({local, adder}, ?MODULE, [], []),
    Local = sequential(adder, Text, 100000),
    Remote = sequential({adder, Node}, Text, 20000),
    Rate = pipelined({adder, Node}, Text, 64, list_to_integer(Seconds) * 1000),
    io:format("{\"local_us\": ~p, \"remote_us_p50\": ~p, \"remote_us_p99\": ~p, \"pipelined_per_second\": ~p}~n",
              [quantile(Local, 0.5), quantile(Remote, 0.5), quantile(Remote, 0.99), Rate]),
    halt(0).

wait(_, 0) -> pang;
wait(Node, Attempts) ->
    case net_adm:ping(Node) of
        pong -> pong;
        pang -> timer:sleep(100), wait(Node, Attempts - 1)
    end.

sequential(To, Text, Count) -> sequential(To, Text, Count, []).
sequential(_, _, 0, Times) -> lists:sort(Times);
sequential(To, Text, Count, Times) ->
    Begin = erlang:monotonic_time(nanosecond),
    {answer, _, Text} = gen_server:call(To, {add, Count, Text}),
    sequential(To, Text, Count - 1, [erlang:monotonic_time(nanosecond) - Begin | Times]).

quantile(Sorted, Q) -> lists:nth(min(length(Sorted), trunc(length(Sorted) * Q) + 1), Sorted) / 1000.

pipelined(To, Text, Callers, Milliseconds) ->
    Self = self(),
    Begin = erlang:monotonic_time(nanosecond),
    End = Begin + Milliseconds * 1000000,
    [spawn_link(fun() -> Self ! {done, loop(To, Text, End, 0)} end) || _ <- lists:seq(1, Callers)],
    Total = lists:sum([receive {done, Count} -> Count end || _ <- lists:seq(1, Callers)]),
    Total * 1.0e9 / (erlang:monotonic_time(nanosecond) - Begin).

loop(To, Text, End, Count) ->
    case erlang:monotonic_time(nanosecond) < End of
        false -> Count;
        true ->
            Next = Count + 1,
            {answer, Next, Text} = gen_server:call(To, {add, Count, Text}),
            loop(To, Text, End, Next)
    end.
