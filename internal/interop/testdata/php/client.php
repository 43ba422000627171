<?php
// Calls both services with SoapClient, and reports what it understood.

require __DIR__ . '/view.php';

[, $catalogURL, $inventoryURL, $version, $hard] = $argv;
$c = new SoapClient("$catalogURL?wsdl", OPTIONS + ['soap_version' => $version === '1.2' ? SOAP_1_2 : SOAP_1_1]);

function report(string $step, ?array $view, ?string $error = null): void
{
    echo json_encode(['step' => $step, 'view' => $view === null ? null : (object) $view, 'error' => $error],
        JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
}

// run reports what call returns and returns it.
function run(string $step, callable $call): mixed
{
    try {
        $v = $call();
    } catch (SoapFault $f) {
        if ($f->faultcode === 'Client' || $f->faultcode === 'HTTP' || $f->faultcode === 'WSDL' || str_starts_with($f->faultstring, 'SOAP-ERROR')) { // PHP's own
            report($step, null, $f->faultstring);
            return null;
        }
        $view = ['code' => $f->faultcode, 'reason' => $f->faultstring];
        foreach ((array) ($f->detail ?? []) as $name => $detail) {
            $view['detail.@name'] = $name;
            flatten($view, 'detail', $detail);
        }
        report($step, $view);
        return null;
    } catch (Throwable $e) {
        report($step, null, get_class($e) . ': ' . $e->getMessage());
        return null;
    }
    report($step, view($v));
    return $v;
}

foreach (['full', 'sparse', 'texts'] as $which) {
    $order = run("GetOrder $which", fn () => $c->GetOrder(['which' => $which])->order);
    if ($which === 'full') { // numbers have come as floats, and what the prefix means is lost
        $order->counter = raw('counter', '18446744073709551615');
        $order->serial = raw('serial', '-123456789012345678901234567890');
        $order->kind = raw('kind', 't:Person');
    }
    if ($which === 'texts') {
        $order->comment = raw('comment', "<![CDATA[line 1\nline 2]]>&#x9;end&#32;");
    }
    run("EchoOrder $which", fn () => $c->EchoOrder(['order' => $order])->order);
}
foreach (['derived', 'mixed', 'plain', 'substituted'] as $which) {
    $parcel = run("GetParcel $which", fn () => $c->GetParcel(['which' => $which])->parcel);
    run("EchoParcel $which", fn () => $c->EchoParcel($parcel));
}
run('Ping', function () use ($c, $hard) {
    $session = new SoapHeader(ORDERS, 'Session', (object) ['user' => $hard, 'calls' => 41], true);
    $got = [];
    $answer = $c->__soapCall('Ping', [['text' => 'hello']], null, $session, $got);
    return (object) ['text' => $answer->text, 'user' => $got['Session']->user, 'calls' => $got['Session']->calls];
});
foreach (['stock', 'invalid', 'denied', 'broken', 'ok'] as $kind) {
    run("Check $kind", fn () => $c->Check(['kind' => $kind]));
}
run('Notify', function () use ($c, $hard) {
    $c->Notify(['text' => $hard]);
    return (object) [];
});
run('Sum', fn () => $c->Sum(['a' => -5, 'b' => 1 << 40, 'c' => 0.25, 'negative' => true]));

if ($version === '1.1') {
    $i = new SoapClient("$inventoryURL?wsdl", OPTIONS);
    run('Add', fn () => (object) ['sum' => $i->Add(40, 2)]);
    run('Store', fn () => (object) $i->Store(
        ['sku' => 'A-1', 'quantity' => null, 'price' => ['_' => '19.90', 'currency' => 'CHF'], 'discount' => '0.5'],
        ['title' => 'root', 'category' => [['title' => 'größer']]],
        'in transit',
    ));
}
